#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/live.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define poison(at, len)   ASAN_POISON_MEMORY_REGION((at), (len))
#define unpoison(at, len) ASAN_UNPOISON_MEMORY_REGION((at), (len))
/* Poisoned bytes between two pieces, so that running over the end of one is seen. */
#define RED_ZONE          16
#else
#define poison(at, len)   ((void) (at), (void) (len))
#define unpoison(at, len) ((void) (at), (void) (len))
#define RED_ZONE          0
#endif

#define ALIGN      16
#define CHUNK_SIZE (8 * KIB)

struct arena_chunk {
	struct arena_chunk *older;
	size_t size; /* of `bytes` */
	_Alignas(ALIGN) char bytes[];
};

#define CHUNK_ROOM (CHUNK_SIZE - sizeof(struct arena_chunk))

struct arena_deferred {
	struct arena_deferred *older;
	void (*run)(void *);
	void *arg;
};

void arena_init(struct arena *a)
{
	*a = (struct arena){ 0 };
}

/* An arena counts as live from its first chunk on: one that was never used need not be ended. */
static struct arena_chunk *chunk_new(struct arena *a, size_t size)
{
	struct arena_chunk *chunk = a->_spare;

	if (chunk != NULL && chunk->size == size)
		a->_spare = NULL;
	else
		chunk = malloc(sizeof(*chunk) + size);
	must(chunk != NULL);
	if (a->_chunks == NULL)
		live_add(LIVE_arenas, 1);
	chunk->older = a->_chunks;
	chunk->size = size;
	poison(chunk->bytes, size);
	a->_chunks = chunk;
	return chunk;
}

static void chunks_free(struct arena *a, struct arena_chunk *last_kept)
{
	while (a->_chunks != last_kept) {
		struct arena_chunk *chunk = a->_chunks;

		a->_chunks = chunk->older;
		if (a->_chunks == NULL)
			live_add(LIVE_arenas, -1);
		unpoison(chunk->bytes, chunk->size);
		free(chunk);
	}
}

static void deferred_run(struct arena *a, struct arena_deferred *last_kept)
{
	while (a->_deferred != last_kept) {
		struct arena_deferred *d = a->_deferred;

		a->_deferred = d->older;
		d->run(d->arg);
	}
}

/* Takes a chunk of the usual size out of the list; NULL if it has none. */
static struct arena_chunk *take_kept(struct arena *a)
{
	for (struct arena_chunk **at = &a->_chunks; *at != NULL; at = &(*at)->older) {
		struct arena_chunk *chunk = *at;

		if (chunk->size != CHUNK_ROOM)
			continue;
		*at = chunk->older;
		if (a->_chunks == NULL)
			live_add(LIVE_arenas, -1);
		poison(chunk->bytes, chunk->size);
		return chunk;
	}
	return NULL;
}

void arena_fini(struct arena *a)
{
	deferred_run(a, NULL);
	chunks_free(a, NULL);
	if (a->_spare != NULL)
		unpoison(a->_spare->bytes, a->_spare->size);
	free(a->_spare);
	arena_init(a);
}

void arena_clear(struct arena *a)
{
	struct arena_chunk *kept;

	deferred_run(a, NULL);
	kept = a->_spare == NULL ? take_kept(a) : a->_spare;
	chunks_free(a, NULL);
	arena_init(a);
	a->_spare = kept;
}

void arena_set_limit(struct arena *a, size_t most)
{
	a->_limit = most;
}

static char *alloc_slow(struct arena *a, size_t room)
{
	struct arena_chunk *chunk;
	char *at;

	if (room > CHUNK_ROOM / 4)
		return chunk_new(a, room)->bytes;
	chunk = chunk_new(a, CHUNK_ROOM);
	at = chunk->bytes;
	a->_at = at + room;
	a->_end = at + CHUNK_ROOM;
	return at;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t room;
	char *at;

	must(size < SIZE_MAX / 2);
	room = (size + RED_ZONE + ALIGN - 1) & ~(size_t) (ALIGN - 1);
	if (RED_ZONE == 0 && room == 0)
		room = ALIGN; /* so that no two pieces share an address */
	a->_used += room;
	must(a->_limit == 0 || a->_used <= a->_limit);
	if (likely((size_t) (a->_end - a->_at) >= room)) {
		at = a->_at;
		a->_at += room;
	} else {
		at = alloc_slow(a, room);
	}
	unpoison(at, size);
	return at;
}

void *arena_zalloc(struct arena *a, size_t size)
{
	void *at = arena_alloc(a, size);

	memset(at, 0, size);
	return at;
}

struct str arena_str(struct arena *a, struct str s)
{
	return str_is_null(s) ? s : str_make(arena_c(a, s), s.len);
}

char *arena_c(struct arena *a, struct str s)
{
	char *at = arena_alloc(a, s.len + 1);

	if (s.len > 0)
		memcpy(at, s.at, s.len);
	at[s.len] = '\0';
	return at;
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
	struct str s;
	va_list args;

	va_start(args, format);
	s = arena_vprintf(a, format, args);
	va_end(args);
	return s;
}

struct str arena_vprintf(struct arena *a, const char *format, va_list args)
{
	char small[256], *at;
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(small, sizeof(small), format, args);
	must(len >= 0);
	at = arena_alloc(a, (size_t) len + 1);
	if ((size_t) len < sizeof(small))
		memcpy(at, small, (size_t) len + 1);
	else
		vsnprintf(at, (size_t) len + 1, format, again);
	va_end(again);
	return str_make(at, (size_t) len);
}

void arena_defer(struct arena *a, void (*run)(void *), void *arg)
{
	struct arena_deferred *d = arena_alloc(a, sizeof(*d));

	*d = (struct arena_deferred){ .older = a->_deferred, .run = run, .arg = arg };
	a->_deferred = d;
}

struct arena_mark arena_save(const struct arena *a)
{
	return (struct arena_mark){ a->_chunks, a->_deferred, a->_at, a->_end, a->_used };
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
	deferred_run(a, mark._deferred);
	chunks_free(a, mark._chunk);
	a->_at = mark._at;
	a->_end = mark._end;
	a->_used = mark._used;
	poison(a->_at, (size_t) (a->_end - a->_at));
}
