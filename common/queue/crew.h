/*
 * crew.h - the host processes of a supervisor: started, fed, watched, buried.
 *
 *              exec                READY              kill, or it dies
 *   [ABSENT] --------> STARTING ----------> READY ---------------------> DYING --> ABSENT (again
 * after a wait)
 *
 * Shared hosts run up to `slots` jobs each.  Their credit (jobs out to one) is 2 x slots while jobs
 * last longer than about a millisecond and doubles up to 256 while they are shorter: the time a job
 * takes is slots in use x time / jobs ended, measured over windows of 20 ms.  Alone hosts run one
 * job; they are started when one is needed.  A suspect (queue/flight.h) runs in an alone host
 * whatever its task says.
 *
 * Jobs that find no place wait here, each with its frame.
 *
 * A death is complete when the process is waited for *and* its channel was read to the end: an
 * outcome that it managed to write counts.  Then each job that was out to it gets an end: not
 * started -> UNSTARTED; started, and the only one -> GUILTY; one of several -> SUSPECT; killed for
 * its hard time limit -> TIMED_OUT, for a revocation -> TERMINATED.
 *
 * Alone hosts wear out: one that has run `jobs_most` jobs, or whose resident memory is over
 * `memory_most` when a job has ended, gets no more of them, ends in order and is started anew.
 *
 * The watch: a shared host (or a suspect of a shared task) whose beat (queue/crashpage.h) stands
 * still for 2 s is killed; the clock of a supervisor that was itself stopped does not count against
 * anybody.
 */
#ifndef QUEUE_CREW_H
#define QUEUE_CREW_H

#include "queue/flight.h"
#include "queue/hostlink.h"
#include "queue/task.h"

struct crew;

enum crew_end {
	CREW_UNSTARTED,
	CREW_SUSPECT,
	CREW_GUILTY,
	CREW_TIMED_OUT,
	CREW_TERMINATED, /* by crew_revoke */
	CREW_END_COUNT
};

struct crew_callbacks {
	/* The flight is no longer out. */
	void (*on_outcome)(void *arg, struct flight *, enum link_state, struct str payload);
	/* Nor is it here; `how` is "SIGSEGV", "exit status 3", "SIGKILL, no yield for 2 s". */
	void (*on_death)(void *arg, struct flight *, enum crew_end, const char *how);
	void (*on_progress)(void *arg, struct str payload); /* packed: id, document */
	/* A job that asked for it (LINK_WANTS_START) has begun; packed: id, document or absent. */
	void (*on_started)(void *arg, struct flight *, struct str payload);
	void (*on_push)(void *arg, unsigned host, struct str payload);
	/* A suspect is about to be sent; the frame is its LINK_JOB payload. */
	void (*on_suspect)(void *arg, struct flight *, struct str frame);
	/* A host may have jobs from now on: what it must know before the first. */
	void (*on_ready)(void *arg, unsigned host);
	/* After the frames of one read, and when a host became ready or died. */
	void (*on_chunk)(void *arg);
};

struct crew_options {
	struct loop *loop;
	struct flights *flights;
	unsigned shared, alone; /* how many hosts */
	unsigned slots;         /* of a shared one */
	int64_t jobs_most;      /* of an alone one before it is replaced; 0: any number */
	int64_t memory_most; /* of an alone one, resident bytes, looked at after each job; 0: any */
	const struct crew_callbacks *callbacks;
	void *arg;
};

int crew_open(const struct crew_options *, struct crew **ret) _must_check_;
/* Sends the job to a host, or keeps it until one has a place. */
void crew_offer(struct crew *, struct flight *, const struct task *, const struct link_job *,
		const struct message *);
/* The flight waits no longer (it was lost, or is given back). */
void crew_forget(struct crew *, struct flight *);

/* Jobs that may be fetched beyond those that are out or wait: 0 when there are enough. */
unsigned crew_room(const struct crew *);
unsigned crew_out(const struct crew *);           /* at hosts */
unsigned crew_alone_waiting(const struct crew *); /* for an alone host */
bool crew_is_short_of_alone(const struct crew *); /* more of them wait than is good for anybody */
unsigned crew_most(const struct crew_options *); /* room at its largest: for the size of the pool */

/*
 * Revokes a job that is out: one that has not started will not.  Of the others, if `is_terminated`,
 * a shared host's ends at its next wait, and an alone host is killed.  The outcome or the death says
 * what became of it; nothing comes if it had ended.
 */
void crew_revoke(struct crew *, struct flight *, bool is_terminated);
/* Slots of each shared host from now on; at least 1. */
void crew_set_slots(struct crew *, unsigned slots);
unsigned crew_slots(const struct crew *); /* of all shared hosts */
/* Jobs that are at shared hosts or wait for one. */
unsigned crew_shared_load(const struct crew *);
unsigned crew_running(const struct crew *); /* jobs that have started and not ended */
bool crew_has_started(const struct crew *, const struct flight *);
int crew_pid_of(const struct crew *, const struct flight *); /* 0: it is not out */
/* Process numbers of the hosts that are ready; at most `most`.  Returns how many. */
size_t crew_pids(const struct crew *, int *pids, size_t most);

/* Which queue a place in the list of queues means from now on (LINK_QUEUE). */
void crew_tell_queue(struct crew *, unsigned host, unsigned place, struct str name);
unsigned crew_hosts(const struct crew *); /* numbered from 0 */

void crew_flush(struct crew *); /* writes frames now */
/* To every host that is ready. */
void crew_signal(struct crew *, int number);
void crew_pushed(struct crew *, unsigned host, const struct link_pushed *);

/* No job is out any more, or all are to be cut off: hosts end (killed when `is_forced`), none is
 * started again.  on_closed runs when the last has been waited for; the crew is gone then. */
void crew_close(struct crew *, bool is_forced, void (*on_closed)(void *arg), void *arg);

#endif
