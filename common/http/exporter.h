/*
 * exporter.h - GET /metrics on a listener of its own, for Prometheus.
 *
 * It is a server (http/server.h) with one route, on the loop of whoever opens it: that thread runs
 * the collectors (base/metric.h).  It is not counted among the requests that it tells of, and its
 * access lines are at level debug.  Nobody is asked for a password: the address is not for the
 * public.
 *
 * The process's own metrics (start, processor time, memory, fibers, requests) are collected here.
 */
#ifndef HTTP_EXPORTER_H
#define HTTP_EXPORTER_H

#include "loop/loop.h"

struct exporter;

/* `address` as of http_bind; several separated by commas.  Empty: *ret is NULL and nothing listens.
 * 0, or -E_BAD_SETTING or what binding said. */
int exporter_open(struct loop *, const char *address, const char *program, struct exporter **ret)
	_must_check_;
/* Ends it with whatever it is doing; on_closed when it is gone.  NULL: at once. */
void exporter_close(struct exporter *, void (*on_closed)(void *arg), void *arg);

#endif
