/*
 * reader.h - bytes from Redis in, replies out; hiredis does the parsing.
 *
 * hiredis hands every piece over through object functions; ours build `struct redis_reply` in
 * memory that is used again for the next reply, so that a stream of small replies costs no
 * allocation.  A reply is valid until redis_reader_next is called again.
 *
 * The bytes are fed in pieces of READER_PIECE: hiredis moves the rest of its buffer for every
 * reply, which costs more the longer that rest is.  Refused as a broken protocol: arrays of more
 * than READER_ELEMENTS, more than seven levels of arrays (hiredis's limit), RESP3.
 */
#ifndef REDIS_READER_H
#define REDIS_READER_H

#include "base/arena.h"
#include "redis/redis.h"

#define READER_PIECE    ((size_t) 4096)
#define READER_ELEMENTS (1 << 20)

struct redisReader;

struct redis_reader {
	struct redisReader *parser; /* NULL before the first byte */
	char *block;                /* what replies are built in … */
	size_t block_size, block_used;
	struct arena spill; /* … and what does not fit; the block grows for the next one */
};

void redis_reader_init(struct redis_reader *);
void redis_reader_fini(struct redis_reader *);
/* Forgets what was fed: a new connection begins. */
void redis_reader_reset(struct redis_reader *);
/* At most READER_PIECE bytes.  0 or -EPROTO. */
int redis_reader_feed(struct redis_reader *, const char *at, size_t len) _must_check_;
/* 1 with a reply, 0 when more bytes are needed, -EPROTO with the reason. */
int redis_reader_next(struct redis_reader *, const struct redis_reply **ret) _must_check_;

/* A deep copy. */
struct redis_reply *redis_reply_copy(struct arena *, const struct redis_reply *);

#endif
