#include "storage/storage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/live.h"
#include "base/world.h"
#include "loop/fiber.h"

static struct loop *loop;
static char folder[64], root[96];
static struct storage storage = { root };
static struct arena arena;

static void set_up(void)
{
	strcpy(folder, "/tmp/apium-storage-XXXXXX");
	cr_assert(mkdtemp(folder) != NULL);
	snprintf(root, sizeof(root), "%s/deep/media", folder); /* not there yet */
	cr_assert_eq(loop_new(&loop), 0);
}

static void tear_down(void)
{
	char command[128];

	loop_free(loop);
	arena_fini(&arena);
	/* Criterion does not count what fails behind a test, so these abort. */
	must(live_get(LIVE_fibers) == 0);
	must(live_get(LIVE_arenas) == 0);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	must(system(command) == 0);
}

TestSuite(storage, .init = set_up, .fini = tear_down);

static void on_end(void *arg, int result)
{
	*(bool *) arg = true;
}

/* Runs a test's body on a fiber. */
static void on_fiber(int (*body)(void *), unsigned cancel_at)
{
	bool has_ended = false;
	struct fiber *f = fiber_start(loop, "test", now_monotonic() + 10 * SEC, body, NULL);

	cr_assert_not_null(f);
	fiber_cancel_at(f, cancel_at);
	fiber_detach(f, on_end, &has_ended);
	while (!has_ended)
		loop_turn(loop, 10 * MSEC);
}

static void assert_reads(const char *path, const char *text)
{
	struct str is;

	cr_assert_eq(storage_read(&storage, &arena, str_c(path), 1000, &is), 0, "%s", path);
	cr_assert(str_eq_c(is, text), "%s has %.*s", path, STR_ARG(is));
}

static int round_trip(void *arg)
{
	struct str is;

	cr_assert_eq(storage_exists(&storage, STR("a/b/c.txt")), 0);
	cr_assert_eq(storage_put(&storage, STR("a/b/c.txt"), STR("hello")), 0);
	cr_assert_eq(storage_exists(&storage, STR("a/b/c.txt")), 1);
	assert_reads("a/b/c.txt", "hello");
	cr_assert_eq(storage_put(&storage, STR("a/b/c.txt"), STR("")), 0);
	assert_reads("a/b/c.txt", "");
	cr_assert_eq(storage_put(&storage, STR("top.txt"), STR("x")), 0);
	assert_reads("top.txt", "x");
	cr_assert_eq(storage_delete(&storage, STR("a/b/c.txt")), 0);
	cr_assert_eq(storage_delete(&storage, STR("a/b/c.txt")), 0);
	cr_assert_eq(storage_delete(&storage, STR("x/y/z")), 0);
	cr_assert_eq(storage_exists(&storage, STR("a/b/c.txt")), 0);
	cr_assert_eq(storage_read(&storage, &arena, STR("a/b/c.txt"), 1000, &is), -ENOENT);
	return 0;
}

Test(storage, writes_reads_and_deletes)
{
	on_fiber(round_trip, 0);
}

static int leave_nothing(void *arg)
{
	char command[160];

	cr_assert_eq(storage_put(&storage, STR("a/b.txt"), STR("hello")), 0);
	snprintf(command, sizeof(command), "test \"$(ls -A %s/a)\" = b.txt", root);
	cr_assert_eq(system(command), 0, "something else is left beside the file");
	return 0;
}

Test(storage, leaves_nothing_but_the_file)
{
	on_fiber(leave_nothing, 0);
}

static int too_long(void *arg)
{
	struct str is;

	cr_assert_eq(storage_put(&storage, STR("a"), STR("12345")), 0);
	cr_assert_eq(storage_read(&storage, &arena, STR("a"), 4, &is), -EFBIG);
	cr_assert_eq(storage_read(&storage, &arena, STR("a"), 5, &is), 0);
	return 0;
}

Test(storage, reads_no_more_than_the_caller_takes)
{
	on_fiber(too_long, 0);
}

static int escapes(void *arg)
{
	static const char *const paths[] = {
		"", "/etc/passwd", "../x", "a/../../x", "a/..", ".", "./a", "a//b", "a/", "..",
	};
	char path[256];
	struct str is;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		cr_assert_eq(storage_put(&storage, str_c(paths[i]), STR("x")), -EINVAL, "%s",
			     paths[i]);
		cr_assert_eq(storage_read(&storage, &arena, str_c(paths[i]), 10, &is), -EINVAL);
		cr_assert_eq(storage_delete(&storage, str_c(paths[i])), -EINVAL);
		cr_assert_eq(storage_exists(&storage, str_c(paths[i])), -EINVAL);
	}
	cr_assert_eq(storage_put(&storage, STR("a\0b"), STR("x")), -EINVAL);
	/* a link that somebody has put there is not followed, neither as folder nor as file */
	cr_assert_eq(storage_put(&storage, STR("a"), STR("x")), 0);
	snprintf(path, sizeof(path), "%s/out", folder);
	cr_assert_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/out/secret", folder);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	cr_assert_geq(fd, 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/link", root);
	cr_assert_eq(symlink("../../out", path), 0);
	cr_assert_lt(storage_put(&storage, STR("link/x"), STR("x")), 0);
	cr_assert_lt(storage_put(&storage, STR("link/sub/x"), STR("x")), 0);
	cr_assert_lt(storage_read(&storage, &arena, STR("link/secret"), 10, &is), 0);
	cr_assert_lt(storage_delete(&storage, STR("link/secret")), 0);
	snprintf(path, sizeof(path), "%s/out/secret", folder);
	cr_assert_eq(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/out/sub", folder);
	cr_assert_eq(access(path, F_OK), -1, "a folder was made outside");
	return 0;
}

Test(storage, no_path_leads_out)
{
	on_fiber(escapes, 0);
}

static int not_files(void *arg)
{
	struct str is;

	cr_assert_eq(storage_put(&storage, STR("a/b"), STR("x")), 0);
	cr_assert_eq(storage_read(&storage, &arena, STR("a"), 10, &is), -ENOENT);
	cr_assert_eq(storage_exists(&storage, STR("a")), 0);
	cr_assert_lt(storage_put(&storage, STR("a"), STR("x")), 0);
	cr_assert_lt(storage_put(&storage, STR("a/b/c"), STR("x")), 0);
	return 0;
}

Test(storage, folders_are_no_files)
{
	on_fiber(not_files, 0);
}

static int one_put(void *arg)
{
	int r = storage_put(&storage, STR("c/d"), STR("x"));

	return r < 0 ? r : storage_exists(&storage, STR("c/d"));
}

Test(storage, may_be_cancelled_at_every_wait)
{
	for (unsigned n = 1; n <= 3; n++)
		on_fiber(one_put, n);
	on_fiber(round_trip, 0);
}
