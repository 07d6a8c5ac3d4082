#include "redis/reader.h"

#include <criterion/criterion.h>

#include "base/error.h"
#include "base/live.h"

/* Feeds a text in pieces of `step` bytes and writes every reply down as one line. */
static int transcript(const char *resp, size_t len, size_t step, struct buf *out);

static void write_reply(struct buf *out, const struct redis_reply *reply)
{
	static const char *const names[] = { "nil", "int", "text", "status", "error", "array" };

	buf_add_c(out, names[reply->type]);
	if (reply->type == REDIS_INTEGER)
		buf_printf(out, " %ld", (long) reply->integer);
	if (!str_is_null(reply->text))
		buf_printf(out, " %.*s", STR_ARG(reply->text));
	if (reply->type == REDIS_ARRAY) {
		buf_add_byte(out, '(');
		for (size_t i = 0; i < reply->count; i++) {
			write_reply(out, &reply->elements[i]);
			buf_add_byte(out, ',');
		}
		buf_add_byte(out, ')');
	}
}

static int transcript(const char *resp, size_t len, size_t step, struct buf *out)
{
	struct redis_reader reader;
	int r = 0;

	redis_reader_init(&reader);
	for (size_t at = 0; at < len && r >= 0; at += step) {
		const struct redis_reply *reply;

		r = redis_reader_feed(&reader, resp + at, MIN(step, len - at));
		while (r >= 0 && (r = redis_reader_next(&reader, &reply)) > 0) {
			write_reply(out, reply);
			buf_add_byte(out, '\n');
		}
	}
	redis_reader_fini(&reader);
	return r;
}

#define MIXED                                                                                      \
	"+OK\r\n:42\r\n:-7\r\n$5\r\nhe\r\no\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n-ERR no\r\n"          \
	"*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n+fine\r\n*1\r\n*1\r\n*1\r\n:9\r\n"

Test(redis_reader, reads_every_type_however_the_bytes_are_cut)
{
	static const char wanted[] =
		"status OK\nint 42\nint -7\ntext he\r\no\ntext \nnil\nnil\narray()\n"
		"error ERR no\narray(int 1,array(text a,nil,),status fine,)\n"
		"array(array(array(int 9,),),)\n";
	static const char resp[] = MIXED;

	for (size_t step = 1; step <= sizeof(resp); step++) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;

		cr_assert_eq(transcript(resp, sizeof(resp) - 1, step, &out), 0);
		cr_assert_str_eq(out.at, wanted, "in pieces of %zu", step);
	}
}

Test(redis_reader, a_broken_stream_is_an_error)
{
	static const char *const broken[] = {
		"hello\r\n",
		":12x\r\n",
		"$5x\r\n",
		"$-2\r\n",
		"*-2\r\n",
		"*1048577\r\n", /* more elements than any command of ours asks for */
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
		"%1\r\n+a\r\n:1\r\n", /* RESP3 */
	};

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;

		cr_assert_eq(transcript(broken[i], strlen(broken[i]), 7, &out), -EPROTO, "%s",
			     broken[i]);
		cr_assert_eq(out.len, 0, "%s", broken[i]);
	}
}

Test(redis_reader, small_replies_cost_no_memory_of_their_own)
{
	struct redis_reader reader;
	const struct redis_reply *reply;
	_cleanup_(buf_fini) struct buf resp = BUF_INIT;
	const char *block;

	redis_reader_init(&reader);
	buf_printf(&resp, "$900\r\n%0900d\r\n", 7);
	/* The first one makes the block … */
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(redis_reader_feed(&reader, resp.at, resp.len), 0);
		cr_assert_eq(redis_reader_next(&reader, &reply), 1);
		cr_assert_eq(reply->text.len, 900);
		cr_assert_eq(redis_reader_next(&reader, &reply), 0);
	}
	block = reader.block;
	cr_assert_not_null(block);
	/* … which serves all that follow. */
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(redis_reader_feed(&reader, resp.at, resp.len), 0);
		cr_assert_eq(redis_reader_next(&reader, &reply), 1);
		cr_assert(reply->text.at > block && reply->text.at < block + reader.block_size);
		cr_assert_eq(arena_used(&reader.spill), 0);
		cr_assert_eq(redis_reader_next(&reader, &reply), 0);
	}
	cr_assert_eq(reader.block, block);
	redis_reader_fini(&reader);
}

Test(redis_reader, large_replies_and_copies_of_them)
{
	_cleanup_(buf_fini) struct buf resp = BUF_INIT;
	struct redis_reader reader;
	const struct redis_reply *reply = NULL;
	struct redis_reply *copy;
	struct arena arena;
	size_t size = 3 * MIB;
	int r = 0;

	arena_init(&arena);
	redis_reader_init(&reader);
	buf_printf(&resp, "*2\r\n$%zu\r\n", size);
	for (size_t i = 0; i < size; i++)
		buf_add_byte(&resp, (char) ('a' + i % 26));
	buf_add_c(&resp, "\r\n*1\r\n:5\r\n");
	for (size_t at = 0; at < resp.len; at += READER_PIECE) {
		cr_assert_eq(r, 0);
		cr_assert_eq(
			redis_reader_feed(&reader, resp.at + at, MIN(READER_PIECE, resp.len - at)),
			0);
		r = redis_reader_next(&reader, &reply);
	}
	cr_assert_eq(r, 1);
	copy = redis_reply_copy(&arena, reply);
	redis_reader_fini(&reader);
	cr_assert_eq(copy->count, 2);
	cr_assert_eq(copy->elements[0].text.len, size);
	for (size_t i = 0; i < size; i++)
		cr_assert_eq(copy->elements[0].text.at[i], (char) ('a' + i % 26));
	cr_assert_eq(copy->elements[1].elements[0].integer, 5);
	arena_fini(&arena);
	cr_assert_eq(live_get(LIVE_arenas), 0);
}
