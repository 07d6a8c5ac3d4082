/*
 * trace.h - W3C Trace Context: whose work this is a part of, across programs.
 *
 * A trace is 32 hex digits that all of one request's work shares, jobs and their jobs included; a
 * span is 16 of one hop.  On the wire: "00-<trace>-<span>-<flags>" in the header `traceparent` of a
 * request, in job_outbox.traceparent and in a message's headers.  Each hop sends on a child: the
 * same trace, a span of its own.
 *
 * Source: https://www.w3.org/TR/trace-context/ (version 00; higher versions are read as it says).
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include "base/str.h"

#define TRACE_TEXT 55 /* bytes of a traceparent, without the NUL */

struct trace {
	char id[33]; /* "": none */
	char span[17];
	uint8_t flags;
};

/* 0, or -EINVAL: not a traceparent; `ret` is as it was. */
int trace_parse(struct str, struct trace *ret) _must_check_;
/* A trace of its own, marked as sampled.  Unique, not secret: costs no system call. */
void trace_new(struct trace *ret);
/* The same trace, a new span. */
void trace_child(const struct trace *parent, struct trace *ret);
void trace_format(const struct trace *, char text[TRACE_TEXT + 1]);

/* What a log line says of a traceparent: its trace; "" when it is none. */
struct str trace_id_of(struct str traceparent);

#endif
