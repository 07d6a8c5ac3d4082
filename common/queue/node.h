/*
 * node.h - the name by which Celery's clients know this worker: "apium@web-1".
 *
 * APIUM_NODE with Celery's marks: %h is the host's whole name, %n its part before the first dot, %d
 * what follows that, %% a percent sign.  Two workers on one machine need two names, as with Celery.
 */
#ifndef QUEUE_NODE_H
#define QUEUE_NODE_H

#include "base/str.h"

#define NODE_NAME_MOST 255

/* Made once, for life. */
struct str node_name(void);

#endif
