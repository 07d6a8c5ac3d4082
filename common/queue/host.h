/*
 * host.h - the process in which task bodies run, each on a fiber.
 *
 * Started by the supervisor as `apium-worker host <slots> <application>`, with the channel at
 * descriptor 3 and the crash page at 4.  It runs up to `slots` jobs at once; what it was sent
 * beyond that waits in memory.  It has its own PostgreSQL and Redis pools for the bodies and never
 * touches a queue's key: outcomes, progress and pushes go to the supervisor as frames
 * (queue/hostlink.h), once per loop turn.
 *
 * Limits: at the soft one the body's waits end with -ETIMEDOUT (job->soft_limit_passed); at the
 * hard one the fiber is cancelled.  A body that does neither wait nor end is the supervisor's to
 * kill.
 *
 * It ends when the channel ends, at once: then the supervisor is gone or has given its jobs away.
 */
#ifndef QUEUE_HOST_H
#define QUEUE_HOST_H

#include "queue/worker.h"

/* The role's main.  Returns the exit status. */
int host_main(const struct worker_program *, int argc, char **argv);

#endif
