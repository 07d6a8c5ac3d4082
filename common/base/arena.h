/*
 * arena.h - memory that is given back all at once.
 *
 * One per request, one per task.  Bump allocation from chunks; a request above a quarter of a chunk
 * gets a chunk of its own.  Nothing is freed singly.  Under ASan what is not handed out is
 * poisoned. A program-wide counter of live arenas lets tests assert that none was forgotten
 * (base/live.h).
 *
 * arena_defer ties the life of something else (a PGresult, a descriptor) to the arena: the
 * functions run at arena_fini or arena_rewind, last one first, before any memory is given back.
 *
 * An arena with a limit refuses to grow beyond it by aborting: the limit is a bug catcher; what a
 * client can size is checked before (http/server.h, queue/message.h).
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>

#include "base/str.h"

struct arena_chunk;
struct arena_deferred;

struct arena {
	struct arena_chunk *_chunks; /* newest first */
	struct arena_chunk *_spare;  /* kept by arena_clear; NULL: none */
	struct arena_deferred *_deferred;
	char *_at;
	char *_end;
	size_t _used;  /* bytes handed out, for metrics */
	size_t _limit; /* of _used; 0: none */
};

struct arena_mark {
	struct arena_chunk *_chunk;
	struct arena_deferred *_deferred;
	char *_at;
	char *_end;
	size_t _used;
};

void arena_init(struct arena *);
void arena_fini(struct arena *); /* usable as a cleanup; harmless twice */
/* As arena_fini, but one chunk is kept for the next use: for what begins again at once. */
void arena_clear(struct arena *);
void arena_set_limit(struct arena *, size_t most); /* bytes handed out at once; 0: none */

static inline size_t arena_used(const struct arena *a)
{
	return a->_used;
}

/* 16-byte aligned, not zeroed / zeroed.  Never NULL. */
void *arena_alloc(struct arena *, size_t size)
	__attribute__((malloc, alloc_size(2), returns_nonnull));
void *arena_zalloc(struct arena *, size_t size)
	__attribute__((malloc, alloc_size(2), returns_nonnull));
#define arena_new(a, type)      ((type *) arena_zalloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *) arena_zalloc((a), sizeof(type) * (size_t) (n)))

/* Copies; the result is NUL-terminated although len does not count it.  Absent stays absent. */
struct str arena_str(struct arena *, struct str);
char *arena_c(struct arena *, struct str);
struct str arena_printf(struct arena *, const char *format, ...) _printf_(2, 3);
struct str arena_vprintf(struct arena *, const char *format, va_list) _printf_(2, 0);

void arena_defer(struct arena *, void (*run)(void *), void *arg);

struct arena_mark arena_save(const struct arena *);
void arena_rewind(struct arena *, struct arena_mark);

#endif
