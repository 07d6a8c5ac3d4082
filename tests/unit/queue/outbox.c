#include "queue/outbox.h"

#include <criterion/criterion.h>

#include "base/error.h"
#include "help.h"
#include "queue/message.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)
#define ID_1 "00000000-0000-4000-8000-000000000001"
#define ID_2 "00000000-0000-4000-8000-000000000002"

struct add {
	int64_t x;
};
static const struct task_argument rows[] = {
	{ .name = "x", .type = TASK_INT, .offset = offsetof(struct add, x), .help = "h" }
};
static const struct task add_task = {
	.name = "t.add",
	.help = "h",
	.queue = "sums",
	.arguments = rows,
	.argument_count = 1,
	.arguments_size = sizeof(struct add),
	.ignores_result = true,
};

static int rows_body(void *arg)
{
	struct db *db = help_db();
	struct outbox_row row = { .id = STR(ID_1),
				  .task = STR("t.add"),
				  .kwargs = STR("{\"x\":  1}"),
				  .key = STR("k"),
				  .eta = 1767323045 * SEC,
				  .priority = 6,
				  .root_id = STR("r") };
	const struct str ids[] = { STR(ID_2), STR(ID_1), STR("no uuid at all") };
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct outbox_place *places;
	struct outbox_row *locked;
	struct arena a;
	size_t count;

	(void) arg;
	arena_init(&a);
	cr_assert_eq(outbox_insert((struct db_at){ .db = db }, &a, &row), 0);
	row.id = STR(ID_2);
	row.kwargs = STR("{}");
	row.key = row.root_id = STR_NULL;
	row.eta = 0;
	cr_assert_eq(outbox_insert((struct db_at){ .db = db }, &a, &row), 0);
	cr_assert_eq(outbox_insert((struct db_at){ .db = db }, &a, &row), -E_UNIQUE);

	cr_assert_eq(outbox_look(db, &a, STR("1970-01-01"),
				 STR("00000000-0000-0000-0000-000000000000"), 0, &places, &count),
		     0);
	cr_assert_eq(count, 2);
	EQ(places[0].id, ID_1);
	cr_assert_eq(outbox_look(db, &a, places[0].at, places[0].id, 0, &places, &count), 0);
	cr_assert_eq(count, 1);
	EQ(places[0].id, ID_2);
	cr_assert_eq(outbox_look(db, &a, STR("1970-01-01"),
				 STR("00000000-0000-0000-0000-000000000000"), 1 * HOUR, &places,
				 &count),
		     0);
	cr_assert_eq(count, 0, "too young");

	cr_assert_eq(db_begin(db, &tx), 0);
	cr_assert_eq(outbox_lock(&tx, &a, ids, ARRAY_SIZE(ids), &locked, &count), 0, "%s",
		     fail_reason(-E_SQL));
	cr_assert_eq(count, 2);
	for (size_t i = 0; i < count; i++)
		if (str_eq_c(locked[i].id, ID_1)) {
			EQ(locked[i].kwargs, "{\"x\":  1}");
			EQ(locked[i].key, "k");
			EQ(locked[i].root_id, "r");
			cr_assert_eq(locked[i].eta, 1767323045 * SEC);
			cr_assert_eq(locked[i].priority, 6);
		} else {
			cr_assert(str_is_null(locked[i].key) && locked[i].eta == 0);
		}
	cr_assert_eq(outbox_delete((struct db_at){ .db = db, .tx = &tx }, &a, ids, ARRAY_SIZE(ids)),
		     0);
	cr_assert_eq(db_commit(&tx), 0);
	EQ(help_sql(db, &a, "SELECT count(*) FROM job_outbox"), "0");
	arena_fini(&a);
	help_db_close(db);
	return 0;
}

Test(outbox, rows_go_in_and_out)
{
	fibers_run(rows_body, NULL);
}

Test(outbox, a_row_becomes_a_push_or_is_refused)
{
	const struct task *const all[] = { &add_task };
	static const struct {
		struct outbox_row row;
		const char *queue, *words; /* words NULL: good */
	} cases[] = {
		{ { .task = STR_INIT("t.add"), .kwargs = STR_INIT("{\"x\": 1}") }, "sums", NULL },
		{ { .task = STR_INIT("t.add"),
		    .kwargs = STR_INIT("{\"x\": 1}"),
		    .queue = STR_INIT("q") },
		  "q",
		  NULL },
		{ { .task = STR_INIT("unknown"), .kwargs = STR_INIT("{\"y\": 1}") },
		  "default",
		  NULL },
		{ { .task = STR_INIT("t.add"), .kwargs = STR_INIT("{}") }, "sums", "missing 1" },
		{ { .task = STR_INIT("t.add"), .kwargs = STR_INIT("[]") }, "sums", "no object" },
		{ { .task = STR_INIT("t.add"), .kwargs = STR_INIT("{") }, "sums", "no JSON" },
		{ { .task = STR_INIT("t.add"),
		    .kwargs = STR_INIT("{\"x\": 1}"),
		    .queue = STR_INIT("a b") },
		  "a b",
		  "no spaces" },
		{ { .task = STR_INIT("t.add"),
		    .kwargs = STR_INIT("{\"x\": 1}"),
		    .key = STR_INIT("") },
		  "sums",
		  "the key" },
	};
	struct queue_book book;

	cr_assert_eq(task_register(all, 1), 0);
	queue_book_init(&book);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outbox_row row = cases[i].row;
		struct message m;
		struct push push;
		struct arena a;
		int r;

		arena_init(&a);
		row.id = STR(ID_1);
		EQ(outbox_queue(&row), cases[i].queue);
		r = outbox_to_push(&a, &book, &row, TASK_OUTBOX, &push);
		if (cases[i].words == NULL) {
			cr_assert_eq(r, 0, "%s", fail_reason(r));
			EQ(push.keys->queue, cases[i].queue);
			cr_assert_eq(message_scan(push.message, &m), 0);
			EQ(m.text[MESSAGE_ID], ID_1);
			cr_assert(m.is_outbox);
			cr_assert_eq(m.ignores_result, str_eq_c(row.task, "t.add"));
		} else {
			cr_assert_eq(r, -E_DROPPED, "%zu", i);
			cr_assert_not_null(strstr(fail_reason(r), cases[i].words), "%s",
					   fail_reason(r));
		}
		arena_fini(&a);
	}
	queue_book_fini(&book);
}
