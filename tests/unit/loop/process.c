#include "loop/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "support.h"

TestSuite(process, .init = loop_up, .fini = loop_down);

static bool has_exited;
static int exit_code, exit_signal, exits;

static void on_exit_seen(struct process *p, int code, int signal)
{
	has_exited = true;
	exit_code = code;
	exit_signal = signal;
	exits++;
	cr_assert_eq(p->channel, -1);
	cr_assert_eq(p->arg, &exits);
}

static void start_shell(struct process *p, const char *script, const int *more, size_t more_count)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct process_options o = {
		.file = "/bin/sh",
		.argv = argv,
		.more_fds = more,
		.more_count = more_count,
	};

	cr_assert_eq(process_start(loop, p, &o, on_exit_seen, &exits), 0);
	cr_assert(p->pid > 0);
}

Test(process, its_exit_code_is_known)
{
	struct process p;

	start_shell(&p, "exit 3", NULL, 0);
	loop_run(loop);
	cr_assert_eq(exits, 1);
	cr_assert_eq(exit_code, 3);
	cr_assert_eq(exit_signal, 0);
	process_kill(&p, SIGKILL); /* harmless */
}

Test(process, its_death_by_a_signal_is_known)
{
	struct process p;

	start_shell(&p, "read x <&3", NULL, 0);
	process_kill(&p, SIGKILL);
	turn_until(&has_exited);
	cr_assert_eq(exit_signal, SIGKILL);
}

Test(process, what_cannot_be_started_says_so_and_never_exits)
{
	const char *argv[] = { "none", NULL };
	struct process_options o = { .file = "/nowhere/none", .argv = argv };
	struct process p;

	cr_assert_eq(process_start(loop, &p, &o, on_exit_seen, &exits), -ENOENT);
	loop_run(loop);
	cr_assert_eq(exits, 0);
}

Test(process, talks_at_descriptor_3)
{
	struct process p;
	char text[16] = "";
	int flags;

	start_shell(&p, "read x <&3; echo \"got $x\" >&3", NULL, 0);
	flags = fcntl(p.channel, F_GETFL);
	cr_assert(flags & O_NONBLOCK);
	cr_assert(fcntl(p.channel, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(write(p.channel, "it\n", 3), 3);
	fcntl(p.channel, F_SETFL, flags & ~O_NONBLOCK);
	cr_assert_eq(read(p.channel, text, sizeof(text) - 1), 7);
	cr_assert_str_eq(text, "got it\n");
	turn_until(&has_exited);
	cr_assert_eq(exit_code, 0);
}

Test(process, gets_more_descriptors_from_4_on_and_no_others)
{
	int a[2], b[2], stray = open("/dev/null", O_RDONLY);
	struct process p;
	char text[8] = "", script[100];

	/* Above those that the child is given. */
	stray = fcntl(stray, F_DUPFD, 20);
	cr_assert(stray >= 20);
	cr_assert_eq(pipe2(a, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(b, O_CLOEXEC), 0);
	/* In an order other than their numbers'. */
	snprintf(script, sizeof(script), "echo four >&4; echo five >&5; [ ! -e /proc/$$/fd/%d ]",
		 stray);
	start_shell(&p, script, (int[]){ b[1], a[1] }, 2);
	turn_until(&has_exited);
	cr_assert_eq(exit_code, 0, "the child has more than it was given");
	cr_assert_eq(read(b[0], text, sizeof(text)), 5);
	cr_assert_arr_eq(text, "four\n", 5);
	cr_assert_eq(read(a[0], text, sizeof(text)), 5);
	cr_assert_arr_eq(text, "five\n", 5);
	close(stray);
}

Test(process, many_at_once_are_told_apart)
{
	struct process p[20];

	for (int i = 0; i < 20; i++) {
		char script[16];

		snprintf(script, sizeof(script), "exit %d", i);
		start_shell(&p[i], script, NULL, 0);
	}
	loop_run(loop);
	cr_assert_eq(exits, 20);
}

/* A process whose parent dies gets SIGTERM; the pipe that both hold tells when it is gone. */
Test(process, a_child_dies_with_its_parent)
{
	int gone[2], ready[2];
	pid_t parent;
	char c;

	cr_assert_eq(pipe(gone), 0);
	cr_assert_eq(pipe(ready), 0);
	parent = fork();
	if (parent == 0) {
		if (fork() == 0) {
			process_child_setup();
			_exit(write(ready[1], "x", 1) == 1 && write(ready[1], "x", 1) == 1 &&
			      pause());
		}
		_exit(read(ready[0], &c, 1) != 1);
	}
	close(gone[1]);
	cr_assert_eq(waitpid(parent, NULL, 0), parent);
	cr_assert_eq(read(gone[0], &c, 1), 0, "waits until nobody holds the other end");
}

Test(process, a_child_ignores_sigpipe)
{
	struct sigaction action;

	process_child_setup();
	cr_assert_eq(sigaction(SIGPIPE, NULL, &action), 0);
	cr_assert_eq(action.sa_handler, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, 0);
}

Test(process, knows_its_own_folder)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	buf_add_c(&b, ">");
	cr_assert_eq(process_self_folder(&b), 0);
	cr_assert(str_starts(buf_str(&b), STR(">/")));
	cr_assert(!str_ends(buf_str(&b), STR("/")));
	buf_add_c(&b, "/test-loop");
	cr_assert_eq(access(b.at + 1, X_OK), 0, "%s", b.at + 1);
}
