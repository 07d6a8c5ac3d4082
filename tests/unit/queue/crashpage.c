#include "queue/crashpage.h"

#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

Test(crashpage, survives_the_host)
{
	struct crashpage p, host;
	int status;
	pid_t pid;

	cr_assert_eq(crashpage_make(&p, 100), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (dup2(p.fd, CRASHPAGE_FD) < 0 || crashpage_map(&host) < 0)
			_exit(1);
		crashpage_start(&host, 7);
		crashpage_start(&host, 99);
		crashpage_start(&host, 100000); /* not there: nothing happens */
		__atomic_fetch_add(crashpage_beat(&host), 5, __ATOMIC_RELAXED);
		_exit(42);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	cr_assert(crashpage_has_started(&p, 7) && crashpage_has_started(&p, 99));
	cr_assert(!crashpage_has_started(&p, 8) && !crashpage_has_started(&p, 100000));
	cr_assert_eq(crashpage_beats(&p), 5);
	crashpage_clear(&p, 7);
	cr_assert(!crashpage_has_started(&p, 7));
	crashpage_fini(&p);
	crashpage_fini(&p);
}
