/*
 * dead.h - dead letters: jobs that nobody can run, kept with their reason until an operator
 * decides.
 *
 * ZSET apium:{queue}:dead has the letter's name (a UUIDv7) by the time of death in ms; HASH
 * apium:{queue}:letters has its record under the name, and the message's own bytes, exactly as they
 * lay in the list, under the name + ":raw".  The history of failed attempts is in the message
 * (apium_history). They are written by the script that acknowledges the job (SCRIPT_END), so a job
 * is never in both places.
 *
 * The record: {"letter", "reason", "at", "queue", "list", "task", "id", "attempts", "worker"}; what
 * is not known (an undecodable message has no id) is null.
 */
#ifndef QUEUE_DEAD_H
#define QUEUE_DEAD_H

#include "base/buf.h"
#include "base/uuid.h"

struct dead_letter {
	char name[UUID_TEXT + 1];                         /* made by dead_letter_name */
	struct str reason, queue, list, task, id, worker; /* task, id: absent if not known */
	int64_t attempts;
};

void dead_letter_name(struct dead_letter *);
void dead_letter_record(struct buf *out, const struct dead_letter *);

#endif
