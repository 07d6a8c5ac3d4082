#include "queue/whoami.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

Test(whoami, a_process_lives_until_it_is_dead)
{
	char name[WHOAMI_MOST], token[WHOAMI_MOST + 8];
	int pipe_fds[2], status;
	pid_t pid;

	cr_assert_eq(whoami(name), 0);
	cr_assert(whoami_may_live(str_c(name)));
	(void) snprintf(token, sizeof(token), "%s.3.0", name);
	cr_assert(whoami_may_live(str_c(token)), "a token begins with the name");

	cr_assert_eq(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		_exit(whoami(name) < 0 || write(pipe_fds[1], name, sizeof(name)) < 0);
	}
	cr_assert_eq(read(pipe_fds[0], name, sizeof(name)), (ssize_t) sizeof(name));
	{
		/* Waits for its end without taking it away: a zombie is dead, too. */
		siginfo_t info;

		cr_assert_eq(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), 0);
	}
	cr_assert(!whoami_may_live(str_c(name)), "a zombie");
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(!whoami_may_live(str_c(name)), "gone");
}

Test(whoami, nothing_is_known_of_other_places)
{
	char name[WHOAMI_MOST], other[WHOAMI_MOST];

	cr_assert_eq(whoami(name), 0);
	(void) snprintf(other, sizeof(other), "%s", name);
	other[0] = other[0] == '0' ? '1' : '0';
	cr_assert(whoami_may_live(str_c(other)));
	cr_assert(whoami_may_live(STR("")) && whoami_may_live(STR("x")) &&
		  whoami_may_live(STR("a.b.c.d")));
}

Test(whoami, a_number_used_again_is_another)
{
	char name[WHOAMI_MOST], *last;

	cr_assert_eq(whoami(name), 0);
	last = strrchr(name, '.');
	(void) snprintf(last, 3, ".1");
	cr_assert(!whoami_may_live(str_c(name)), "another start time");
}
