/*
 * periodic.h - a periodic job: what is asked for, when, and by which policies; its row in PostgreSQL.
 *
 * Rows come from three sides: declarations in a program's code (struct schedule), which the leader
 * writes at its start (periodic_declare) and nobody else may change; the operator's command; the gateway.
 * Whoever writes `when` of a row sets next_at to NULL: the leader works it out within a second.
 *
 * All but the checks yield; `db_at` lets them be part of a transaction.
 */
#ifndef BEAT_PERIODIC_H
#define BEAT_PERIODIC_H

#include "beat/due.h"
#include "db/db.h"
#include "queue/task.h"

/* A declaration in code. */
struct schedule {
	const char *name; /* "purge-expired-tokens" */
	const struct task *task;
	const char *kwargs;  /* JSON object; NULL: {} */
	const char *queue;   /* NULL: the task's */
	const char *crontab; /* or: */
	usec_t every;        /* whole seconds */
	const char *zone;    /* NULL: "UTC" */
	enum missed missed;
	usec_t starting_deadline; /* 0: a day */
	bool skips_overlap;       /* not while the last run has not ended */
};

/* A row.  In the caller's arena. */
struct periodic {
	struct str id, name, task, kwargs, queue, crontab, zone, missed, overlap;
	int64_t every, starting_deadline;      /* seconds; every 0: a crontab */
	usec_t anchor, next_at, decided_until; /* 0: none */
	struct str last_job;
	bool is_paused, is_declared;
	usec_t now; /* the server's clock when it was read */
};

#define PERIODIC_NAME_MOST   100
#define PERIODIC_DEADLINE    86400 /* seconds, when nothing is said */
#define PERIODIC_KWARGS_MOST 65536
#define PERIODIC_EVERY_MOST  (366 * 86400)

/* What a task makes of these arguments (a JSON object): 0, or -EINVAL with its words.  A task that this
 * program does not know takes any: its worker will say. */
int periodic_check_kwargs(struct arena *, struct str task, struct str kwargs) _must_check_;
int periodic_check_queue(struct arena *, struct str queue) _must_check_;
/* The whole of what somebody wrote: 0, or -EINVAL with a sentence that names what is wrong. */
int periodic_check(struct arena *, const struct periodic *) _must_check_;

/* By name, locked if there is a transaction; -E_NOT_FOUND with a sentence. */
int periodic_find(struct db_at, struct arena *, struct str name, struct periodic *ret)
	may_yield _must_check_;
/* All of them, by name. */
int periodic_list(struct db_at, struct arena *, struct periodic **ret, size_t *ret_count)
	may_yield _must_check_;
/* -E_UNIQUE: there is one of that name. */
int periodic_add(struct db_at, struct arena *, const struct periodic *) may_yield _must_check_;
/* All that periodic_check looks at, of the row with this id. */
int periodic_change(struct db_at, struct arena *, const struct periodic *) may_yield _must_check_;
int periodic_remove(struct db_at, struct arena *, struct str id) may_yield _must_check_;
/* What is planned while it is paused is not missed afterwards. */
int periodic_pause(struct db_at, struct arena *, struct str id, bool is_paused)
	may_yield _must_check_;

/* Declarations that contradict themselves: 0, or -E_BAD_SETTING with a sentence. */
int schedules_check(const struct schedule *, size_t count) _must_check_;
/* Makes the rows of declarations what the code says; those whose declaration is gone are removed.
 * A row that somebody else made under the same name stays, with a warning. */
int periodic_declare(struct db *, struct arena *, const struct schedule *, size_t count)
	may_yield _must_check_;

#endif
