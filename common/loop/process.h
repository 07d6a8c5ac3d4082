/*
 * process.h - a child started by exec, with a socketpair to it; its death is known at once.
 *
 * Always exec, never fork of a threaded loop.  The child finds its end of the socketpair at
 * descriptor 3 (PROCESS_CHANNEL_FD); further descriptors follow from 4 on in the order given.  No
 * others reach it: every descriptor above 2 of this process becomes close-on-exec.  It gets SIGTERM
 * when its parent dies (prctl PR_SET_PDEATHSIG, set by process_child_setup in the child).
 *
 * The end of the stream and the exit status arrive separately; on_exit is called once, after
 * waitpid, and the struct is the caller's again in it.
 */
#ifndef LOOP_PROCESS_H
#define LOOP_PROCESS_H

#include "base/buf.h"
#include "loop/loop.h"

#define PROCESS_CHANNEL_FD 3

struct process {
	struct loop *loop;
	int pid;
	int channel; /* our end of the socketpair, non-blocking, close-on-exec; ownership passes to
			a channel_open or stays here and is closed at exit if >= 0 */
	void (*on_exit)(struct process *, int exit_code,
			int signal); /* signal 0: exited by itself */
	void *arg;
	uv_process_t *_uv;
};

struct process_options {
	const char *file;        /* path of the program */
	const char *const *argv; /* NULL-terminated, argv[0] included */
	const char *const *env;  /* NULL: this process's environment */
	const int *more_fds;     /* passed on as 4, 5, … */
	size_t more_count;
};

/* 0 or a libuv error.  on_exit is never called when this fails. */
int process_start(struct loop *, struct process *, const struct process_options *,
		  void (*on_exit)(struct process *, int, int), void *arg) _must_check_;
void process_kill(struct process *, int signal); /* harmless after death */

/* Resident bytes of a process; 0 when it cannot be told (it has just ended). */
int64_t process_memory(int pid);

/* First thing in a child's main: die with the parent, ignore SIGPIPE. */
void process_child_setup(void);
/* Folder of the running executable, so that a program finds its sisters. */
int process_self_folder(struct buf *out) _must_check_;

#endif
