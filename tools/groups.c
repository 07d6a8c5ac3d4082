/*
 * groups.c - apium groups, apium grant, apium revoke-grant: who is in which group, and who may what
 * (common/auth/rights.h).  Gateways hear of it by the tables' triggers.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/uuid.h"
#include "command.h"
#include "session.h"

static int find_key(struct session *s, const struct db_statement *find, const char *what,
		    struct str name, struct str *ret)
{
	struct db_rows rows;
	int r = db_query(s->db, &s->arena, find, DB_VALUES(name), &rows);

	if (r < 0)
		return r;
	if (rows.count == 0)
		return fail(-E_NOT_FOUND, "there is no %s %.*s", what, STR_ARG(name));
	*ret = db_get(&rows, 0, 0);
	return 0;
}

static int find_group(struct session *s, const char *name, struct str *ret)
{
	static const struct db_statement find = {
		.sql = STR_INIT("SELECT id FROM auth_group WHERE name = $1"),
	};

	return find_key(s, &find, "group", str_c(name), ret);
}

static int find_user(struct session *s, const char *email, struct str *ret)
{
	static const struct db_statement find = {
		.sql = STR_INIT("SELECT id FROM users WHERE email = $1"),
	};

	return find_key(s, &find, "user with the address", str_c(email), ret);
}

/* --- groups --- */

static int list_groups(struct session *s, char **words _unused_)
{
	static const struct db_statement find = {
		.sql = STR_INIT(
			"SELECT name, (SELECT count(*) FROM users_groups m WHERE m.group_id = g.id), "
			"(SELECT count(*) FROM auth_group_permissions a WHERE a.group_id = g.id) "
			"FROM auth_group g ORDER BY name"),
	};
	struct db_rows rows;
	int r = db_query(s->db, &s->arena, &find, DB_NO_VALUES, &rows);

	for (int i = 0; r == 0 && i < rows.count; i++) {
		int64_t members = db_get_i64(&rows, i, 1), permissions = db_get_i64(&rows, i, 2);

		printf("%-30s %6ld %-8s %6ld %s\n", db_get(&rows, i, 0).at, (long) members,
		       members == 1 ? "member" : "members", (long) permissions,
		       permissions == 1 ? "permission" : "permissions");
	}
	return r;
}

static int show_group(struct session *s, char **words)
{
	static const struct db_statement find = {
		.sql = STR_INIT(
			"SELECT 'member' AS what, u.email FROM users_groups m JOIN users u ON u.id = m.user_id "
			"WHERE m.group_id = $1 UNION ALL SELECT 'may', p.codename FROM "
			"auth_group_permissions a JOIN auth_permission p ON p.id = a.permission_id "
			"WHERE a.group_id = $1 UNION ALL SELECT 'may', permission || ' on ' || resource || "
			"'/' || object_id FROM auth_grant WHERE group_id = $1 ORDER BY 1 DESC, 2"),
	};
	struct db_rows rows;
	struct str group;
	int r = find_group(s, words[0], &group);

	if (r == 0)
		r = db_query(s->db, &s->arena, &find, DB_VALUES(group), &rows);
	for (int i = 0; r == 0 && i < rows.count; i++)
		printf("%-8s %s\n", db_get(&rows, i, 0).at, db_get(&rows, i, 1).at);
	return r;
}

static int create_group(struct session *s, char **words)
{
	static const struct db_statement add = {
		.sql = STR_INIT("INSERT INTO auth_group (name) VALUES ($1) ON CONFLICT DO NOTHING"),
	};
	struct db_rows rows;
	int r = db_query(s->db, &s->arena, &add, DB_VALUES(str_c(words[0])), &rows);

	if (r == 0 && rows.affected == 0)
		r = fail(-E_UNIQUE, "the group %s exists already", words[0]);
	if (r == 0)
		printf("group %s is there\n", words[0]);
	return r;
}

static int drop_group(struct session *s, char **words)
{
	static const struct db_statement drop = {
		.sql = STR_INIT("DELETE FROM auth_group WHERE id = $1"),
	};
	struct str group;
	int r = find_group(s, words[0], &group);

	if (r == 0)
		r = db_query(s->db, &s->arena, &drop, DB_VALUES(group), NULL);
	if (r == 0)
		printf("group %s is gone, with all that it might\n", words[0]);
	return r;
}

static int change_member(struct session *s, char **words, const struct db_statement *change,
			 const char *sentence)
{
	struct str group, user;
	int r = find_group(s, words[0], &group);

	if (r == 0)
		r = find_user(s, words[1], &user);
	if (r == 0)
		r = db_query(s->db, &s->arena, change, DB_VALUES(user, group), NULL);
	if (r == 0)
		printf(sentence, words[1], words[0]);
	return r;
}

static int add_member(struct session *s, char **words)
{
	static const struct db_statement add = {
		.sql = STR_INIT("INSERT INTO users_groups (user_id, group_id) VALUES ($1, $2) "
				"ON CONFLICT DO NOTHING"),
	};

	return change_member(s, words, &add, "%s is in %s\n");
}

static int remove_member(struct session *s, char **words)
{
	static const struct db_statement remove = {
		.sql = STR_INIT("DELETE FROM users_groups WHERE user_id = $1 AND group_id = $2"),
	};

	return change_member(s, words, &remove, "%s is not in %s\n");
}

static const struct action {
	const char *name, *takes;
	int words;
	int (*run)(struct session *, char **words);
} actions[] = {
	{ "list", "nothing", 0, list_groups },
	{ "show", "the name of a group", 1, show_group },
	{ "create", "the name of a group", 1, create_group },
	{ "drop", "the name of a group", 1, drop_group },
	{ "add", "the name of a group and the address of a user", 2, add_member },
	{ "remove", "the name of a group and the address of a user", 2, remove_member },
};

struct groups_asked {
	const struct action *action;
	char **words;
};

static int run_action(struct session *s, void *arg)
{
	const struct groups_asked *asked = arg;

	return asked->action->run(s, asked->words);
}

int command_groups(int argc, char **argv)
{
	struct groups_asked asked = { .action = actions, .words = argv + 1 };
	int words, r;

	r = options_parse(NULL, 0, argc, argv, &words);
	if (r < 0)
		return r;
	if (words == 0)
		return fail(-EINVAL, "groups takes list, show, create, drop, add or remove");
	while (asked.action < actions + ARRAY_SIZE(actions) &&
	       strcmp(asked.action->name, argv[0]) != 0)
		asked.action++;
	if (asked.action == actions + ARRAY_SIZE(actions)) {
		const char *near = str_nearest(argv[0], actions, ARRAY_SIZE(actions),
					       sizeof(actions[0]));

		return near != NULL
			       ? fail(-EINVAL, "groups has no %s; did you mean %s?", argv[0], near)
			       : fail(-EINVAL, "groups has no %s", argv[0]);
	}
	if (words - 1 != asked.action->words)
		return fail(-EINVAL, "groups %s takes %s", asked.action->name, asked.action->takes);
	return session_run(run_action, &asked, MINUTE);
}

/* --- grants --- */

struct grant {
	const char *permission, *on, *email, *group;
	struct str resource, object; /* of `on` */
	bool is_taken;               /* away */
};

static bool is_word(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return s.len > 0;
}

/* "blog.change_post": "Can change post". */
static struct str permission_name(struct arena *arena, struct str codename)
{
	struct str rest = codename, app;
	struct str name;

	(void) str_cut(&rest, '.', &app);
	name = arena_printf(arena, "Can %.*s", STR_ARG(rest));
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] == '_')
			((char *) name.at)[i] = ' ';
	}
	return name;
}

static const struct db_statement add_permission = {
	.sql = STR_INIT("INSERT INTO auth_permission (name, codename) VALUES ($1, $2) "
			"ON CONFLICT (codename) DO NOTHING"),
};

/* By whether a user or a group holds it, and whether it is given or taken away. */
static const struct db_statement of_all[2][2] = {
	{ { .sql = STR_INIT(
		    "INSERT INTO users_user_permissions (user_id, permission_id) SELECT $1, id "
		    "FROM auth_permission WHERE codename = $2 ON CONFLICT DO NOTHING") },
	  { .sql = STR_INIT(
		    "DELETE FROM users_user_permissions WHERE user_id = $1 AND permission_id IN "
		    "(SELECT id FROM auth_permission WHERE codename = $2)") } },
	{ { .sql = STR_INIT(
		    "INSERT INTO auth_group_permissions (group_id, permission_id) SELECT $1, id "
		    "FROM auth_permission WHERE codename = $2 ON CONFLICT DO NOTHING") },
	  { .sql = STR_INIT(
		    "DELETE FROM auth_group_permissions WHERE group_id = $1 AND permission_id IN "
		    "(SELECT id FROM auth_permission WHERE codename = $2)") } },
};
static const struct db_statement of_one[2][2] = {
	{ { .sql = STR_INIT(
		    "INSERT INTO auth_grant (user_id, permission, resource, object_id) VALUES "
		    "($1, $2, $3, $4) ON CONFLICT DO NOTHING") },
	  { .sql = STR_INIT("DELETE FROM auth_grant WHERE user_id = $1 AND permission = $2 AND "
			    "resource = $3 AND object_id = $4") } },
	{ { .sql = STR_INIT(
		    "INSERT INTO auth_grant (group_id, permission, resource, object_id) VALUES "
		    "($1, $2, $3, $4) ON CONFLICT DO NOTHING") },
	  { .sql = STR_INIT("DELETE FROM auth_grant WHERE group_id = $1 AND permission = $2 AND "
			    "resource = $3 AND object_id = $4") } },
};

static int write_grant(struct session *s, void *arg)
{
	struct grant *g = arg;
	struct str permission = str_c(g->permission), holder, object;
	bool is_group = g->group != NULL;
	int r;

	r = is_group ? find_group(s, g->group, &holder) : find_user(s, g->email, &holder);
	if (r < 0)
		return r;
	if (g->on != NULL) {
		/* As gateways write it. */
		if (uuid_normalise(&s->arena, g->object, &object) < 0)
			object = g->object;
		return db_query(s->db, &s->arena, &of_one[is_group][g->is_taken],
				DB_VALUES(holder, permission, g->resource, object), NULL);
	}
	if (!g->is_taken)
		r = db_query(s->db, &s->arena, &add_permission,
			     DB_VALUES(permission_name(&s->arena, permission), permission), NULL);
	if (r == 0)
		r = db_query(s->db, &s->arena, &of_all[is_group][g->is_taken],
			     DB_VALUES(holder, permission), NULL);
	return r;
}

static int check_grant(struct grant *g)
{
	struct str rest = str_c(g->permission), head;

	if (g->on == NULL) {
		if (!str_cut(&rest, '.', &head) || !is_word(head) || str_is_null(rest) ||
		    !is_word(rest))
			return fail(-EINVAL, "%s is no permission like blog.change_post",
				    g->permission);
	} else {
		if (!is_word(rest))
			return fail(-EINVAL, "%s is no permission on one row like change",
				    g->permission);
		g->object = str_c(g->on);
		if (!str_cut(&g->object, '/', &g->resource) || !is_word(g->resource) ||
		    str_is_null(g->object) || g->object.len == 0)
			return fail(-EINVAL, "--on takes RESOURCE/ID, such as post/17");
	}
	return 0;
}

static int run_grant(int argc, char **argv, const char *command, bool is_taken)
{
	struct grant g = { .is_taken = is_taken };
	const struct option options[] = {
		{ "--user", OPTION_TEXT, &g.email, "ADDRESS", "Whose right it is." },
		{ "--group", OPTION_TEXT, &g.group, "NAME", "Or a group's." },
		{ "--on", OPTION_TEXT, &g.on, "RESOURCE/ID",
		  "To one row alone; the permission is then a word like change." },
	};
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words != 1)
		return fail(-EINVAL, "%s takes one permission", command);
	g.permission = argv[0];
	if ((g.email != NULL) == (g.group != NULL))
		return fail(-EINVAL, "%s needs --user ADDRESS or --group NAME", command);
	r = check_grant(&g);
	if (r == 0)
		r = session_run(write_grant, &g, MINUTE);
	if (r == 0)
		printf("%s %s now: %s%s%s\n", g.group != NULL ? g.group : g.email,
		       is_taken ? "may not" : "may", g.permission, g.on != NULL ? " on " : "",
		       g.on != NULL ? g.on : "");
	return r;
}

int command_grant(int argc, char **argv)
{
	return run_grant(argc, argv, "grant", false);
}

int command_revoke_grant(int argc, char **argv)
{
	return run_grant(argc, argv, "revoke-grant", true);
}
