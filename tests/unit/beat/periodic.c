#include "beat/periodic.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "base/error.h"
#include "help.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

struct add {
	int64_t x;
};
static const struct task_argument rows[] = {
	{ .name = "x", .type = TASK_INT, .offset = offsetof(struct add, x), .help = "h" }
};
static const struct task add = { .name = "t.add",
				 .help = "h",
				 .arguments = rows,
				 .argument_count = 1,
				 .arguments_size = sizeof(struct add) };

static struct periodic usual(void)
{
	return (struct periodic){ .name = STR("n"),
				  .task = STR("t.add"),
				  .kwargs = STR("{\"x\": 1}"),
				  .crontab = STR("* * * * *"),
				  .zone = STR("UTC"),
				  .missed = STR("one"),
				  .overlap = STR("allow"),
				  .starting_deadline = 60 };
}

static void refused(const struct periodic *p, const char *sentence)
{
	struct arena arena;

	arena_init(&arena);
	cr_expect_eq(periodic_check(&arena, p), -EINVAL, "%s", sentence);
	cr_expect_str_eq(fail_reason(-EINVAL), sentence, "%s", fail_reason(-EINVAL));
	arena_fini(&arena);
}

Test(periodic, is_checked_as_a_whole)
{
	static const struct task *const all[] = { &add };
	struct periodic p = usual();
	struct arena arena;

	cr_assert_eq(task_register(all, 1), 0);
	arena_init(&arena);
	cr_assert_eq(periodic_check(&arena, &p), 0);
	p.task = STR("theirs.task");
	p.kwargs = STR("{\"whatever\": [1]}");
	cr_assert_eq(periodic_check(&arena, &p), 0);
	arena_fini(&arena);

	p = usual();
	p.name = STR("");
	refused(&p, "a name has 1 to 100 bytes");
	p = usual();
	p.crontab = STR("* 25 * * *");
	refused(&p, "hour: 25 is not from 0 to 23");
	p = usual();
	p.every = 5;
	refused(&p, "either a crontab or an interval is needed");
	p = usual();
	p.zone = STR("Mars/Olympus");
	refused(&p, "there is no time zone Mars/Olympus");
	p = usual();
	p.missed = STR("none");
	refused(&p, "missed is one of one, skip, all, not none");
	p = usual();
	p.overlap = STR("wait");
	refused(&p, "overlap is one of allow, skip, not wait");
	p = usual();
	p.kwargs = STR("{\"y\": 1}");
	refused(&p, "t.add() got an unexpected keyword argument 'y'");
	p = usual();
	p.kwargs = STR("[1]");
	refused(&p, "the arguments are no object");
	p = usual();
	p.crontab = STR_NULL;
	p.every = PERIODIC_EVERY_MOST + 1;
	refused(&p, "an interval has 1 to 31622400 seconds");
}

static int rows_body(void *arg)
{
	struct db *db = help_db();
	const struct db_at at = { .db = db };
	struct periodic p = usual(), *all;
	struct arena arena;
	size_t count;

	(void) arg;
	arena_init(&arena);
	cr_assert_eq(periodic_add(at, &arena, &p), 0);
	cr_assert_eq(periodic_add(at, &arena, &p), -E_UNIQUE);
	cr_assert_eq(periodic_find(at, &arena, STR("m"), &p), -E_NOT_FOUND);
	cr_assert_str_eq(fail_reason(-E_NOT_FOUND), "there is no schedule m");
	cr_assert_eq(periodic_find(at, &arena, STR("n"), &p), 0);
	EQ(p.kwargs, "{\"x\": 1}");
	cr_assert_eq(p.next_at, 0);
	cr_assert_eq(p.every, 0);
	cr_assert(p.now > p.anchor && p.anchor > 0);

	/* What was worked out stays for as long as it is right. */
	help_sql(db, &arena, "UPDATE beat_schedule SET next_at = '2030-01-01' RETURNING 1");
	p.kwargs = STR("{\"x\": 2}");
	cr_assert_eq(periodic_change(at, &arena, &p), 0);
	cr_assert_eq(periodic_find(at, &arena, STR("n"), &p), 0);
	EQ(p.kwargs, "{\"x\": 2}");
	cr_assert_neq(p.next_at, 0);
	p.crontab = STR_NULL;
	p.every = 7;
	cr_assert_eq(periodic_change(at, &arena, &p), 0);
	cr_assert_eq(periodic_list(at, &arena, &all, &count), 0);
	cr_assert_eq(count, 1);
	cr_assert_eq(all[0].next_at, 0);
	cr_assert_eq(all[0].every, 7);
	cr_assert(str_is_null(all[0].crontab));

	help_sql(db, &arena, "UPDATE beat_schedule SET next_at = '2030-01-01' RETURNING 1");
	cr_assert_eq(periodic_pause(at, &arena, p.id, false), 0);
	EQ(help_sql(db, &arena, "SELECT next_at IS NULL FROM beat_schedule"), "f");
	cr_assert_eq(periodic_pause(at, &arena, p.id, true), 0);
	EQ(help_sql(db, &arena, "SELECT is_paused AND next_at IS NULL FROM beat_schedule"), "t");
	cr_assert_eq(periodic_remove(at, &arena, p.id), 0);
	EQ(help_sql(db, &arena, "SELECT count(*) FROM beat_schedule"), "0");
	arena_fini(&arena);
	help_db_close(db);
	return 0;
}

Test(periodic, rows_come_change_and_go)
{
	fibers_run(rows_body, NULL);
}
