#include "redis/reader.h"

#include <hiredis/read.h>
#include <stdlib.h>

#include "base/error.h"

#define BLOCK_FIRST (16 * KIB)
#define BLOCK_MOST  (1 * MIB)
/* Below this hiredis keeps its buffer from one piece to the next, above it frees it. */
#define BUFFER_KEPT (64 * KIB)

static void *room(struct redis_reader *r, size_t size)
{
	size_t step = (size + 15) & ~(size_t) 15;
	char *at;

	if (step > r->block_size - r->block_used)
		return arena_alloc(&r->spill, size);
	at = r->block + r->block_used;
	r->block_used += step;
	return at;
}

/* The place of this piece: in its array, or a place of its own for a whole reply. */
static struct redis_reply *piece(const redisReadTask *task, enum redis_type type)
{
	struct redis_reader *r = task->privdata;
	struct redis_reply *reply;

	if (task->parent == NULL)
		reply = room(r, sizeof(*reply));
	else
		reply = &((struct redis_reply *) task->parent->obj)->elements[task->idx];
	*reply = (struct redis_reply){ .type = type };
	return reply;
}

static void *create_string(const redisReadTask *task, char *at, size_t len)
{
	static const enum redis_type types[] = {
		[REDIS_REPLY_STRING] = REDIS_TEXT,
		[REDIS_REPLY_STATUS] = REDIS_STATUS,
		[REDIS_REPLY_ERROR] = REDIS_ERROR,
	};
	struct redis_reply *reply = piece(task, types[task->type]);
	char *copy = room(task->privdata, len + 1);

	memcpy(copy, at, len);
	copy[len] = '\0';
	reply->text = str_make(copy, len);
	return reply;
}

static void *create_array(const redisReadTask *task, int count)
{
	struct redis_reply *reply;

	if (count > READER_ELEMENTS)
		return NULL; /* hiredis turns it into an error */
	reply = piece(task, REDIS_ARRAY);
	reply->count = (size_t) count;
	reply->elements = room(task->privdata, (size_t) count * sizeof(*reply->elements));
	return reply;
}

static void *create_integer(const redisReadTask *task, long long value)
{
	struct redis_reply *reply = piece(task, REDIS_INTEGER);

	reply->integer = value;
	return reply;
}

static void *create_nil(const redisReadTask *task)
{
	return piece(task, REDIS_NIL);
}

static void free_nothing(void *reply _unused_) {}

static redisReplyObjectFunctions object_functions = {
	.createString = create_string,
	.createArray = create_array,
	.createInteger = create_integer,
	.createNil = create_nil,
	.freeObject = free_nothing,
};

void redis_reader_init(struct redis_reader *r)
{
	*r = (struct redis_reader){ 0 };
	arena_init(&r->spill);
}

void redis_reader_fini(struct redis_reader *r)
{
	redis_reader_reset(r);
	free(r->block);
	r->block = NULL;
	r->block_size = 0;
}

/* Makes room for as much as the reply before needed, so that the same again needs no allocation. */
static void clear_reply(struct redis_reader *r)
{
	size_t needed = r->block_used + arena_used(&r->spill), size = r->block_size;

	r->block_used = 0;
	if (arena_used(&r->spill) == 0)
		return;
	arena_fini(&r->spill);
	while (size < needed && size < BLOCK_MOST)
		size = MAX(size * 2, BLOCK_FIRST);
	if (size == r->block_size)
		return;
	free(r->block);
	r->block = malloc(size);
	must(r->block != NULL);
	r->block_size = size;
}

void redis_reader_reset(struct redis_reader *r)
{
	redisReaderFree(r->parser);
	r->parser = NULL;
	r->block_used = 0;
	arena_fini(&r->spill);
}

int redis_reader_feed(struct redis_reader *r, const char *at, size_t len)
{
	must(len <= READER_PIECE);
	if (r->parser == NULL) {
		r->parser = redisReaderCreateWithFunctions(&object_functions);
		must(r->parser != NULL);
		r->parser->privdata = r;
		r->parser->maxbuf = BUFFER_KEPT;
	}
	if (redisReaderFeed(r->parser, at, len) != REDIS_OK)
		return fail(-EPROTO, "%s", r->parser->errstr);
	return 0;
}

int redis_reader_next(struct redis_reader *r, const struct redis_reply **ret)
{
	void *reply;

	if (r->parser->ridx == -1) /* none is half built */
		clear_reply(r);
	if (redisReaderGetReply(r->parser, &reply) != REDIS_OK)
		return fail(-EPROTO, "%s", r->parser->errstr);
	if (reply == NULL)
		return 0;
	*ret = reply;
	return 1;
}

static void copy_into(struct arena *arena, struct redis_reply *to, const struct redis_reply *from)
{
	*to = *from;
	to->text = arena_str(arena, from->text);
	if (from->type != REDIS_ARRAY)
		return;
	to->elements = arena_array(arena, struct redis_reply, from->count);
	for (size_t i = 0; i < from->count; i++)
		copy_into(arena, &to->elements[i], &from->elements[i]); /* seven levels at most */
}

struct redis_reply *redis_reply_copy(struct arena *arena, const struct redis_reply *from)
{
	struct redis_reply *to = arena_new(arena, struct redis_reply);

	copy_into(arena, to, from);
	return to;
}
