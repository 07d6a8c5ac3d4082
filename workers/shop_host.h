/*
 * shop_host.h - what the bodies of this application share, made once per host process:
 * job->application.
 */
#ifndef WORKERS_SHOP_HOST_H
#define WORKERS_SHOP_HOST_H

#include "image/sandbox.h"
#include "mail/mailer.h"
#include "queue/worker.h"
#include "storage/storage.h"

struct shop_host {
	struct mailer *mailer;
	struct sandbox_pool *sandboxes;
	struct storage storage;
};

/* For struct worker_program. */
int shop_host_open(const struct worker_host *, void **ret_application) _must_check_;

#endif
