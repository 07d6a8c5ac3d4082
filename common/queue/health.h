/*
 * health.h - is this worker doing its work?  Health is the time since a fetch was last answered,
 * not that the process is there.
 *
 * The supervisor writes a small file, APIUM_HEALTH_FILE (none when empty), about once a second: one
 * line of JSON, {"polled_ms": n, "lanes_open": n, "lanes": n, "out": n, "state": "running"},
 * replaced by rename. `apium-worker health` reads it: exit status 0 when the file is younger than 5
 * s, and the slowest open lane was answered within the last 15 s; else 1, with a sentence.
 */
#ifndef QUEUE_HEALTH_H
#define QUEUE_HEALTH_H

struct supervisor;

void health_settings(void); /* registers the setting; before settings_load */
void health_write(struct supervisor *);
/* The role's main. */
int health_main(void);

#endif
