#include "db/sql.h"

#include <criterion/criterion.h>

Test(db_sql, finds_where_statements_end)
{
	/* clang-format off */
	static const struct {
		const char *text;
		const char *statements[4];
	} cases[] = {
		{ "", { NULL } },
		{ " -- only; a comment\n /* and; /* another; */ one; */ ;;", { NULL } },
		{ "SELECT 1", { "SELECT 1" } },
		{ "a; b ;\n-- c;\nd\n", { "a", "b ", "d" } },
		{ "-- first;\nSELECT ';', 'it''s;', \"a;\"\"b\"; x", { "SELECT ';', 'it''s;', \"a;\"\"b\"", "x" } },
		{ "SELECT E'\\';'; y", { "SELECT E'\\';'", "y" } },
		{ "SELECT '\\'; y", { "SELECT '\\'", "y" } },
		{ "SELECT e';'; z", { "SELECT e';'", "z" } },
		{ "SELECT $$;$$, $a$;$$;$b$;$a$; z", { "SELECT $$;$$, $a$;$$;$b$;$a$", "z" } },
		{ "SELECT a$b;c$b; z", { "SELECT a$b", "c$b", "z" } },
		{ "SELECT $1;$2", { "SELECT $1", "$2" } },
		{ "SELECT 1 - 2 / 3; z", { "SELECT 1 - 2 / 3", "z" } },
		{ "SELECT 'open; z", { "SELECT 'open; z" } },
		{ "SELECT $$open; z", { "SELECT $$open; z" } },
		{ "/* open; z", { NULL } },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str rest = str_c(cases[i].text), statement;

		for (int n = 0; cases[i].statements[n] != NULL; n++) {
			cr_assert(db_sql_next(&rest, &statement), "%s", cases[i].text);
			cr_assert(str_eq_c(statement, cases[i].statements[n]), "%s: %.*s",
				  cases[i].text, STR_ARG(statement));
		}
		cr_assert(!db_sql_next(&rest, &statement), "%s: %.*s too many", cases[i].text,
			  STR_ARG(statement));
		cr_assert(!db_sql_next(&rest, &statement), "%s", cases[i].text);
	}
}
