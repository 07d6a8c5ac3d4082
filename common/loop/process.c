#include "loop/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/live.h"

#define FDS_MOST 16

static void close_channel(struct process *p)
{
	if (p->channel >= 0)
		close(p->channel);
	p->channel = -1;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_uv_exit(uv_process_t *uv, int64_t exit_code, int signal)
{
	struct process *p = uv->data;

	must(p->_uv == uv);
	p->_uv = NULL;
	uv_close((uv_handle_t *) uv, on_closed);
	close_channel(p);
	live_add(LIVE_processes, -1);
	p->on_exit(p, (int) exit_code, signal);
}

/*
 * Not every library opens its descriptors close-on-exec; a sandbox must not find a database's
 * socket. libuv clears the flag on those that are passed on.
 */
static int keep_descriptors_from_child(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	if (folder == NULL)
		return -errno;
	while ((entry = readdir(folder)) != NULL) {
		int64_t fd;

		if (str_to_i64(str_c(entry->d_name), &fd) == 0 && fd > STDERR_FILENO)
			(void) fcntl((int) fd, F_SETFD, FD_CLOEXEC); /* gone meanwhile: as good */
	}
	closedir(folder);
	return 0;
}

static int spawn(struct loop *l, struct process *p, const struct process_options *o, int child_end)
{
	uv_stdio_container_t stdio[PROCESS_CHANNEL_FD + 1 + FDS_MOST];
	uv_process_options_t uv = {
		.exit_cb = on_uv_exit,
		.file = o->file,
		/* libuv does not write to them; its type only lacks the word. */
		.args = (char **) (uintptr_t) o->argv,
		.env = (char **) (uintptr_t) o->env,
		.stdio = stdio,
		.stdio_count = (int) (PROCESS_CHANNEL_FD + 1 + o->more_count),
	};

	must(o->more_count <= FDS_MOST);
	for (int fd = 0; fd < PROCESS_CHANNEL_FD; fd++)
		stdio[fd] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = fd };
	stdio[PROCESS_CHANNEL_FD] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD,
							    .data.fd = child_end };
	for (size_t i = 0; i < o->more_count; i++)
		stdio[PROCESS_CHANNEL_FD + 1 + i] = (uv_stdio_container_t){
			.flags = UV_INHERIT_FD, .data.fd = o->more_fds[i]
		};
	p->_uv = calloc(1, sizeof(*p->_uv));
	must(p->_uv != NULL);
	p->_uv->data = p;
	return uv_spawn(loop_uv(l), p->_uv, &uv);
}

int process_start(struct loop *l, struct process *p, const struct process_options *o,
		  void (*on_exit)(struct process *, int, int), void *arg)
{
	int ends[2], r;

	r = keep_descriptors_from_child();
	if (r < 0)
		return r;
	/* The child's end loses close-on-exec when libuv moves it to its number. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	*p = (struct process){ .loop = l, .channel = ends[0], .on_exit = on_exit, .arg = arg };
	/* Of ours only: the flag belongs to each end, and what the child runs may expect to
	 * block. */
	must(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	r = spawn(l, p, o, ends[1]);
	close(ends[1]);
	if (r < 0) {
		uv_close((uv_handle_t *) p->_uv, on_closed);
		p->_uv = NULL;
		close_channel(p);
		return r;
	}
	p->pid = p->_uv->pid;
	live_add(LIVE_processes, 1);
	return 0;
}

void process_kill(struct process *p, int signal)
{
	/* Not yet waited for, so the number cannot be another's.  It fails only if it has just
	 * died. */
	if (p->_uv != NULL)
		(void) uv_process_kill(p->_uv, signal);
}

int64_t process_memory(int pid)
{
	long long pages = 0;
	char path[48];
	FILE *file;

	(void) snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%*d %lld", &pages) != 1)
		pages = 0;
	fclose(file);
	return (int64_t) pages * sysconf(_SC_PAGESIZE);
}

void process_child_setup(void)
{
	/* At the death of the parent's thread that started us.  If it died before this line, the
	 * end of the channel tells. */
	must(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
	must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

int process_self_folder(struct buf *out)
{
	struct str path;
	ssize_t len;

	buf_reserve(out, PATH_MAX);
	len = readlink("/proc/self/exe", out->at + out->len, PATH_MAX);
	if (len < 0)
		return -errno;
	if (len == PATH_MAX)
		return -ENAMETOOLONG; /* it may have been cut */
	path = str_make(out->at + out->len, (size_t) len);
	while (path.len > 1 && path.at[path.len - 1] != '/')
		path.len--;
	path.len = MAX(path.len - 1, (size_t) 1); /* the root keeps its slash */
	out->len += path.len;
	out->at[out->len] = '\0';
	return 0;
}
