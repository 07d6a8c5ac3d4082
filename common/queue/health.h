/*
 * health.h - is this worker doing its work?  Health is the time since a fetch was last answered,
 * not that the process is there.
 *
 * A worker's supervisor writes a small file, APIUM_HEALTH_FILE (none when empty), about once a second: one
 * line of JSON, {"polled_ms": n, "lanes_open": n, "lanes": n, "out": n, "state": "running"},
 * replaced by rename. `apium-worker health` reads it: exit status 0 when the file is younger than 5
 * s, and the slowest open lane was answered within the last 15 s; else 1, with a sentence.
 */
#ifndef QUEUE_HEALTH_H
#define QUEUE_HEALTH_H

#include "base/macros.h"

struct supervisor;

void health_settings(void); /* registers the setting; before settings_load */
void health_write(struct supervisor *);

/*
 * For programs that keep such a file of their own (beat/beat.h): health_put replaces it by one line, a
 * JSON object; nothing happens when it is not wanted.  health_judge is their question's main: exit
 * status 0 when the file is fresh and its member, a number of milliseconds, is from 0 to `most`; else
 * 1 with `why`, or with what is wrong with the file.
 */
void health_put(const char *line);
int health_judge(const char *member, usec_t most, const char *why);
/* The role's main. */
int health_main(void);

#endif
