/*
 * Our scanner and writer beside jansson on mutated documents: both accept or both refuse, and what
 * our writer makes of what our scanner read is to jansson the same as the original.
 */
#include <errno.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/json.h"
#include "base/world.h"
#include "jansson_side.h"

static const char *const seeds[] = {
	"{\"id\":12,\"name\":\"caf\xc3\xa9 \\u00e9 \\ud83d\\ude00\",\"tags\":[\"a\",\"b\",[]],\"price\":12.50,\"ok\":true}",
	"[null,true,false,-1,0,1e5,-2.5E-3,\"\",{},[],[[[]]]]",
	" { \"a\" : { \"b\" : [ 1 , 2 , { \"c\" : \"\\\"\\\\\\/\\b\\f\\n\\r\\t\" } ] } } ",
	"{\"a\":1,\"a\":2,\"\\u0061\":[3]}",
	"\"plain\"",
	"123456789",
};

/* Bytes that mean something, so that mutations reach more than the first check. */
static const char alphabet[] =
	"{}[]\",:\\/ \n\tnulltruefalse0123456789.eE+-ubfrt\x01\x80\xc3\xa9\xff";

static void mutate(struct buf *b)
{
	for (uint64_t n = random_below(4); n > 0 && b->len > 0; n--) {
		size_t at = random_below(b->len),
		       len = random_below(MIN(b->len - at, (size_t) 8) + 1);
		char c = alphabet[random_below(sizeof(alphabet) - 1)];

		switch (random_below(4)) {
		case 0:
			b->at[at] = c;
			break;
		case 1: /* drop some */
			memmove(b->at + at, b->at + at + len, b->len - at - len);
			buf_truncate(b, b->len - len);
			break;
		case 2: /* insert one */
			buf_add_byte(b, ' ');
			memmove(b->at + at + 1, b->at + at, b->len - at - 1);
			b->at[at] = c;
			break;
		default: /* append a piece of it */
			buf_reserve(b, len);
			buf_add(b, b->at + at, len);
		}
	}
}

static void compare(struct str text)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	_cleanup_(buf_fini) struct buf written = BUF_INIT;
	struct json_writer w;
	struct json_error e;
	struct json *tree;
	bool is_its_limit, theirs = jansson_accepts(text, &is_its_limit);
	int r = json_parse(&a, text, JSON_STRICT, 1000, &tree, &e);

	if (is_its_limit)
		return;
	cr_assert_eq(r, theirs ? 0 : -EINVAL, "%.*s: %s", STR_ARG(text),
		     r < 0 ? e.sentence : "accepted");
	if (r < 0)
		return;
	for (int escape = JSON_ESCAPE_DRF; escape <= JSON_ESCAPE_ASCII; escape++) {
		buf_clear(&written);
		json_writer_init(&w, &written, escape, escape == JSON_ESCAPE_ASCII);
		json_put_tree(&w, tree);
		cr_assert(jansson_reads_the_same(text, buf_str(&written)), "%.*s became %s",
			  STR_ARG(text), written.at);
	}
}

Test(json_jansson, agrees_on_a_hundred_thousand_mutations)
{
	struct fake_world f;
	size_t accepted = 0;

	fake_world_init(&f, 20260131, 0);
	world_set(&f.world);
	for (int i = 0; i < 100000; i++) {
		_cleanup_(buf_fini) struct buf b = BUF_INIT;
		bool is_its_limit;

		buf_add_c(&b, seeds[random_below(ARRAY_SIZE(seeds))]);
		mutate(&b);
		accepted += jansson_accepts(buf_str(&b), &is_its_limit);
		compare(buf_str(&b));
	}
	world_set(NULL);
	/* Else the mutations are too wild, or too tame, to say anything. */
	cr_assert(accepted > 20000 && accepted < 80000, "%zu", accepted);
}
