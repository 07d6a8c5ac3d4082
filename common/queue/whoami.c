#include "queue/whoami.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"

static int read_small(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, to, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	to[n] = '\0';
	return 0;
}

static int place(uint64_t *ret)
{
	char boot[64], space[64];
	ssize_t n;
	int r = read_small("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));

	if (r < 0)
		return fail(r, "/proc/sys/kernel/random/boot_id cannot be read");
	n = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);
	if (n < 0)
		return fail(-errno, "/proc/self/ns/pid cannot be read");
	*ret = str_hash(str_trim(str_c(boot))) * 31 + str_hash(str_make(space, (size_t) n));
	return 0;
}

/* The 22nd field of /proc/PID/stat; the second may contain anything but ends at the last
 * parenthesis.  -ESRCH: nobody, or one that only waits to be waited for. */
static int start_of(int64_t pid, uint64_t *ret)
{
	char path[64], text[1024];
	struct str rest, word = STR_NULL;
	const char *end;
	int r;

	(void) snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
	r = read_small(path, text, sizeof(text));
	if (r < 0)
		return r;
	end = strrchr(text, ')');
	if (end == NULL)
		return -EPROTO;
	if (end[1] == ' ' && (end[2] == 'Z' || end[2] == 'X'))
		return -ESRCH;
	rest = str_c(end + 1);
	for (int i = 2; i <= 22; i++)
		if (!str_cut(&rest, ' ', &word))
			return -EPROTO;
	return str_to_u64(word, ret);
}

int whoami(char name[WHOAMI_MOST])
{
	uint64_t where, start;
	int r = place(&where);

	if (r == 0)
		r = start_of(getpid(), &start);
	if (r < 0)
		return r;
	(void) snprintf(name, WHOAMI_MOST, "%016" PRIx64 ".%d.%" PRIu64, where, (int) getpid(),
			start);
	return 0;
}

bool whoami_may_live(struct str token)
{
	struct str where, pid, start;
	int64_t number;
	uint64_t here, began, begins;
	char mine[24];
	int r;

	if (place(&here) < 0) {
		fail_clear(); /* then nothing is known */
		return true;
	}
	(void) snprintf(mine, sizeof(mine), "%016" PRIx64, here);
	if (!str_cut(&token, '.', &where) || !str_cut(&token, '.', &pid) ||
	    !str_cut(&token, '.', &start) || !str_eq_c(where, mine) ||
	    str_to_i64(pid, &number) < 0 || str_to_u64(start, &began) < 0)
		return true;
	r = start_of(number, &begins);
	return r < 0 ? r != -ENOENT && r != -ESRCH : begins == began;
}
