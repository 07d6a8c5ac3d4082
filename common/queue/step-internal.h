/*
 * step-internal.h - an end that something follows: what is published, and the chord that it counts for.
 *
 * One script (SCRIPT_STEP): the fence, the result, the acknowledgement and all that follows.  For a
 * part of a chord the same script counts it first.  Unless that completes the chord, this was all.
 *
 *   COUNTING --> done
 *      |  ^  \
 *      |  |   `-- claimed by another worker --> WAITING (until the claim ends) --> COUNTING
 *      |  |
 *      |  `------------------------------ the claim is lost
 *      |                                            |
 *      `-- complete, claimed: not ended yet         |
 *            READING the job's message, for the body's signature
 *            READING the saved group, if there is one, and the parts, 500 at a time
 *            |                                      |
 *            COUNTING again, now with the body and the end of the chord among what follows,
 *                    and a check that the claim is still ours
 *
 * So the body is published with the last part's acknowledgement and with `.c` = done, or not at all:
 * a worker that dies in between leaves a claim that ends after CLAIM_SECONDS, and a message that is
 * delivered again.  When a part has failed, the body fails instead, its errbacks are called, and
 * the chord of which the body itself was a part is counted next, in the same way.
 *
 * Keys, as Celery 5.7 has them (celery-taskset-meta-<group>…): `.j` ZSET of [1, id, state, result] by
 * group_index (a LIST with APIUM_RESULT_CHORD_ORDERED=off); `.d` SET of id:index, what is counted; `.s` the size, `.t` an addend; `.c` the claim, then
 * "done" for 300 s.  Neighbours of Celery 5.6 and before know neither `.d` nor `.c`.
 *
 * With results in another Redis the counting is done there, before the acknowledgement here.
 */
#ifndef QUEUE_STEP_INTERNAL_H
#define QUEUE_STEP_INTERNAL_H

#include "queue/ending-internal.h"

void step_run(struct supervisor *, struct flight *, const struct ending *);

#endif
