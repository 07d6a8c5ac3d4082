#include "base/crash.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"

static void say_more(int fd)
{
	(void) !write(fd, "more\n", 5);
}

/* What a child says on its standard error while it dies, and how it died. */
static int die(void (*how)(void), struct buf *said)
{
	struct rlimit no_core = { 0, 0 };
	int ends[2], status;
	char piece[512];
	ssize_t n;
	pid_t child;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	cr_assert_neq(child, -1);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		/* Not what the test runner put there. */
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		crash_setup("dier");
		crash_on_report(say_more);
		how();
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], piece, sizeof(piece))) > 0)
		buf_add(said, piece, (size_t) n);
	close(ends[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

static size_t count(const struct buf *b, struct str needle)
{
	size_t n = 0;
	ptrdiff_t at;

	for (struct str s = buf_str(b); (at = str_find(s, needle)) >= 0; n++)
		s = str_slice(s, (size_t) at + 1, s.len);
	return n;
}

static void fail_an_assertion(void)
{
	must(1 + 1 == 3);
}

Test(crash, a_failed_assertion_says_where_once_and_aborts)
{
	_cleanup_(buf_fini) struct buf said = BUF_INIT;
	int status = die(fail_an_assertion, &said);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	cr_assert(str_find(buf_str(&said), STR("crash.c:")) > 0, "%s", said.at);
	cr_assert_eq(count(&said, STR("1 + 1 == 3")), 1);
	cr_assert_eq(count(&said, STR("more\n")), 1);
	cr_assert_eq(count(&said, STR("backtrace:")), 1);
}

#ifndef __SANITIZE_ADDRESS__
static void touch_nothing(void)
{
	*(volatile char *) 0x1234 = 1;
}

Test(crash, a_fault_says_its_address_and_dies_of_its_signal)
{
	_cleanup_(buf_fini) struct buf said = BUF_INIT;
	int status = die(touch_nothing, &said);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	cr_assert(str_find(buf_str(&said), STR("dier: SIGSEGV at address 0x1234\n")) == 0, "%s",
		  said.at);
	cr_assert_eq(count(&said, STR("more\n")), 1);
}

static volatile bool is_deep_enough; /* never; the compiler must not know */

static int dig(volatile char *above)
{
	volatile char frame[1024];

	frame[0] = above[0];
	return is_deep_enough ? frame[0] : dig(frame) + frame[0];
}

static void dig_down(void)
{
	char top[1] = { 1 };

	(void) dig(top);
}

Test(crash, an_overflown_stack_can_still_report)
{
	_cleanup_(buf_fini) struct buf said = BUF_INIT;
	int status = die(dig_down, &said);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	cr_assert_eq(count(&said, STR("more\n")), 1);
}
#endif
