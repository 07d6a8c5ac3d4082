#include "queue/body.h"

#include <criterion/criterion.h>
#include <bzlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/codec.h"
#include "base/error.h"

static struct message message_of(struct arena *a, struct str bytes, const char *compression)
{
	struct buf base64 = BUF_INIT;
	struct message m = { 0 };

	base64_encode(&base64, bytes);
	m.text[MESSAGE_BODY] = arena_str(a, buf_str(&base64));
	m.text[MESSAGE_BODY_ENCODING] = STR("base64");
	m.text[MESSAGE_CONTENT_TYPE] = STR("application/json");
	m.text[MESSAGE_COMPRESSION] = str_c(compression);
	buf_fini(&base64);
	return m;
}

static void assert_text(struct message *m, struct str expected)
{
	struct arena a;
	struct str text;

	arena_init(&a);
	cr_assert_eq(body_text(&a, m, &text), 0, "%s", fail_reason(-EINVAL));
	cr_assert(str_eq(text, expected));
	arena_fini(&a);
}

static void assert_refused(struct message *m, const char *words)
{
	struct arena a;
	struct str text;

	arena_init(&a);
	cr_assert_eq(body_text(&a, m, &text), -EINVAL);
	cr_assert_not_null(strstr(fail_reason(-EINVAL), words), "%s", fail_reason(-EINVAL));
	arena_fini(&a);
}

Test(body, is_unpacked)
{
	static char plain[5000], packed[6000];
	uLongf len = sizeof(packed);
	struct message m;
	struct arena a;
	unsigned bz_len;
	size_t n;

	arena_init(&a);
	memset(plain, 'x', sizeof(plain));
	m = message_of(&a, STR("[[], {}, null]"), NULL);
	assert_text(&m, STR("[[], {}, null]"));
	m.text[MESSAGE_CONTENT_TYPE] = STR_NULL; /* Python sends one always; others may not */
	assert_text(&m, STR("[[], {}, null]"));
	m = (struct message){ .escaped = 1u << MESSAGE_BODY };
	m.text[MESSAGE_BODY] = STR("[[\\\"x\\\"], {}, null]");
	assert_text(&m, STR("[[\"x\"], {}, null]"));
	cr_assert_eq(compress((Bytef *) packed, &len, (Bytef *) plain, sizeof(plain)), Z_OK);
	m = message_of(&a, str_make(packed, len), "application/x-gzip");
	assert_text(&m, str_make(plain, sizeof(plain)));
	bz_len = sizeof(packed);
	cr_assert_eq(BZ2_bzBuffToBuffCompress(packed, &bz_len, plain, sizeof(plain), 9, 0, 0),
		     BZ_OK);
	m = message_of(&a, str_make(packed, bz_len), "application/x-bz2");
	assert_text(&m, str_make(plain, sizeof(plain)));
	m = message_of(&a, str_make(packed, bz_len - 4), "application/x-bz2");
	assert_refused(&m, "damaged");
	n = ZSTD_compress(packed, sizeof(packed), plain, sizeof(plain), 3);
	cr_assert(!ZSTD_isError(n));
	m = message_of(&a, str_make(packed, n), "application/zstd");
	assert_text(&m, str_make(plain, sizeof(plain)));
	arena_fini(&a);
}

Test(body, what_cannot_be_unpacked_is_named)
{
	struct message m;
	struct arena a;

	arena_init(&a);
	m = (struct message){ 0 };
	assert_refused(&m, "no body");
	m = message_of(&a, STR("x"), "application/x-lzma");
	assert_refused(&m, "application/x-lzma is not known");
	m = message_of(&a, STR("not zlib"), "application/x-gzip");
	assert_refused(&m, "damaged");
	m = message_of(&a, STR("not zstd"), "application/zstd");
	assert_refused(&m, "damaged");
	m = message_of(&a, STR("x"), NULL);
	m.text[MESSAGE_BODY] = STR("***");
	assert_refused(&m, "no base64");
	m.text[MESSAGE_CONTENT_TYPE] = STR("application/x-yaml");
	assert_refused(&m, "application/x-yaml is not accepted");
	arena_fini(&a);
}

/* A small frame that says it is huge, and one that is. */
Test(body, bombs_are_refused)
{
	size_t size = BODY_MOST + 1, room = compressBound(size), n;
	char *plain = calloc(1, size), *packed = malloc(room);
	uLongf len = room;
	struct message m;
	struct arena a;

	cr_assert(plain != NULL && packed != NULL);
	arena_init(&a);
	cr_assert_eq(compress((Bytef *) packed, &len, (Bytef *) plain, size), Z_OK);
	m = message_of(&a, str_make(packed, len), "application/x-gzip");
	assert_refused(&m, "larger than 64 MiB");
	n = ZSTD_compress(packed, room, plain, size, 1);
	cr_assert(!ZSTD_isError(n));
	m = message_of(&a, str_make(packed, n), "application/zstd");
	assert_refused(&m, "larger than 64 MiB");
	arena_fini(&a);
	free(plain);
	free(packed);
}

Test(body, is_an_array_of_three)
{
	static const struct {
		const char *text, *words; /* words NULL: good */
	} cases[] = {
		{ "[[1], {\"a\": 2}, null]", NULL },
		{ "[[], {}, {\"callbacks\": null, \"errbacks\": [], \"chain\": null}]", NULL },
		{ "", "no JSON" },
		{ "{}", "array of three" },
		{ "[[], {}]", "array of three" },
		{ "[{}, {}, null]", "first element" },
		{ "[[], [], null]", "second element" },
		{ "[[], {}, []]", "third element" },
		{ "[[], {}, {\"callbacks\": 1}]", "\"callbacks\"" },
		{ "[[], {}, {\"chain\": \"x\"}]", "\"chain\"" },
		{ "[[], {}, {\"chord\": []}]", "\"chord\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a;
		struct body b;
		int r;

		arena_init(&a);
		r = body_parse(&a, str_c(cases[i].text), &b);
		if (cases[i].words == NULL) {
			cr_assert_eq(r, 0, "%s", cases[i].text);
			cr_assert_eq(b.args->type, JSON_ARRAY);
			cr_assert_eq(b.kwargs->type, JSON_OBJECT);
		} else {
			cr_assert_eq(r, -EINVAL, "%s", cases[i].text);
			cr_assert_not_null(strstr(fail_reason(r), cases[i].words), "%s",
					   fail_reason(r));
		}
		arena_fini(&a);
	}
}

Test(body, what_comes_after_is_found)
{
	struct body b;
	struct arena a;

	arena_init(&a);
	cr_assert_eq(body_parse(&a, STR("[[], {}, {\"callbacks\": [], \"chain\": null}]"), &b), 0);
	cr_assert(!b.has_embed);
	cr_assert_eq(
		body_parse(
			&a,
			STR("[[], {}, {\"callbacks\": {\"task\": \"x\"}, \"errbacks\": "
			    "[{\"task\": \"y\"}, {\"task\": \"z\"}], \"chord\": {\"task\": \"c\"}}]"),
			&b),
		0);
	cr_assert(b.has_embed);
	cr_assert_eq(b.embed.callbacks->count, 1); /* one alone is a list of one */
	cr_assert_eq(b.embed.errbacks->count, 2);
	cr_assert_null(b.embed.chain);
	cr_assert_eq(b.embed.chord->type, JSON_OBJECT);
	arena_fini(&a);
}
