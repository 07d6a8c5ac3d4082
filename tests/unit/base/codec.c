#include "base/codec.h"

#include <errno.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/world.h"

Test(codec, base64_knows_the_vectors_of_the_rfc)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(buf_fini) struct buf b = BUF_INIT;
		char back[32];
		size_t len = 99;

		base64_encode(&b, str_c(rows[i][0]));
		cr_assert_str_eq(b.at, rows[i][1]);
		cr_assert_eq(base64_decode(buf_str(&b), back, &len), 0);
		cr_assert(str_eq_c(str_make(back, len), rows[i][0]));
	}
}

Test(codec, base64_brings_any_bytes_back)
{
	for (size_t len = 0; len < 200; len++) {
		_cleanup_(buf_fini) struct buf plain = BUF_INIT, url = BUF_INIT;
		uint8_t bytes[200], back[256];
		size_t back_len;

		random_bytes(bytes, len);
		base64_encode(&plain, str_make(bytes, len));
		base64url_encode(&url, str_make(bytes, len));
		cr_assert_eq(base64_decode(buf_str(&plain), back, &back_len), 0);
		cr_assert(str_eq(str_make(back, back_len), str_make(bytes, len)));
		cr_assert_eq(base64url_decode(buf_str(&url), back, &back_len), 0);
		cr_assert(str_eq(str_make(back, back_len), str_make(bytes, len)));
		cr_assert_eq(str_find_char(buf_str(&url), '='), -1);
	}
}

Test(codec, base64_refuses_what_is_not_canonical)
{
	static const char *const plain[] = {
		"Zg",    "Zg=",    "Zg===", "Z===", "Zh==", "Zm9=",
		"Zm 9v", "Zm9v\n", "Zm-_",  "=",    "====", "Zg==Zg=="
	};
	static const char *const url[] = { "Z", "Zh", "Zm+/", "Zg=", "Zm9v=" };
	char to[32];
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		cr_assert_eq(base64_decode(str_c(plain[i]), to, &len), -EINVAL, "%s", plain[i]);
	for (size_t i = 0; i < ARRAY_SIZE(url); i++)
		cr_assert_eq(base64url_decode(str_c(url[i]), to, &len), -EINVAL, "%s", url[i]);
	cr_assert_eq(base64url_decode(STR("Zg=="), to, &len), 0);
}

Test(codec, hex_both_ways)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	uint8_t bytes[4];
	size_t len;

	hex_encode(&b, STR("\x00\x9f\xff"));
	cr_assert_str_eq(b.at, "009fff");
	cr_assert_eq(hex_decode(STR("009FfF"), bytes, &len), 0);
	cr_assert_eq(len, 3);
	cr_assert_arr_eq(bytes, "\x00\x9f\xff", 3);
	cr_assert_eq(hex_decode(STR("0"), bytes, &len), -EINVAL);
	cr_assert_eq(hex_decode(STR("0g"), bytes, &len), -EINVAL);
}

Test(codec, percent_decoding_leaves_broken_escapes)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	cr_assert(str_eq(percent_decode(&a, STR("a%20b%2Bc+d"), false), STR("a b+c+d")));
	cr_assert(str_eq(percent_decode(&a, STR("a%20b%2Bc+d"), true), STR("a b+c d")));
	cr_assert(str_eq(percent_decode(&a, STR("%"), false), STR("%")));
	cr_assert(str_eq(percent_decode(&a, STR("%4"), false), STR("%4")));
	cr_assert(str_eq(percent_decode(&a, STR("%zz%41"), false), STR("%zzA")));
	cr_assert(str_eq(percent_decode(&a, STR("%00"), false), STR("\0")));
	percent_encode(&b, STR("a b/\xc3\xa9~"), STR("/"));
	cr_assert_str_eq(b.at, "a%20b/%C3%A9~");
}

Test(codec, utf8_faults_have_pythons_place_length_and_words)
{
	static const struct {
		struct str text;
		ptrdiff_t at;
		size_t len;
		const char *why;
	} rows[] = {
		{ STR_INIT("abcdefghijklmnop"), -1, 0, NULL },
		{ STR_INIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), -1, 0, NULL },
		{ STR_INIT("\xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf"), -1, 0, NULL },
		{ STR_INIT("abcdefgh\xff"), 8, 1, "invalid start byte" },
		{ STR_INIT("\x80"), 0, 1, "invalid start byte" },
		{ STR_INIT("\xc0\x80"), 0, 1, "invalid start byte" },
		{ STR_INIT("\xf5\x80\x80\x80"), 0, 1, "invalid start byte" },
		{ STR_INIT("\xe0\x80\x80"), 0, 1, "invalid continuation byte" },
		{ STR_INIT("\xed\xa0\x80"), 0, 1, "invalid continuation byte" },
		{ STR_INIT("\xf4\x90\x80\x80"), 0, 1, "invalid continuation byte" },
		{ STR_INIT("a\xe2\x82z"), 1, 2, "invalid continuation byte" },
		{ STR_INIT("a\xe2\x82"), 1, 2, "unexpected end of data" },
		{ STR_INIT("\xc3"), 0, 1, "unexpected end of data" },
		{ STR_INIT("\xf0\x9f\x98"), 0, 3, "unexpected end of data" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = 0;
		const char *why = NULL;

		cr_assert_eq(utf8_find_invalid_why(rows[i].text, &len, &why), rows[i].at, "row %zu",
			     i);
		cr_assert_eq(utf8_find_invalid(rows[i].text), rows[i].at);
		if (rows[i].at < 0)
			continue;
		cr_assert_eq(len, rows[i].len, "row %zu", i);
		cr_assert_str_eq(why, rows[i].why);
	}
}

Test(codec, utf8_repair_replaces_whole_broken_parts)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct str fine = STR("gr\xc3\xbc\xc3\x9f");

	cr_assert_eq(utf8_repair(&a, fine).at, fine.at, "nothing is copied");
	cr_assert(str_eq(utf8_repair(&a, STR("a\xf0\x9f\x98z\xff")),
			 STR("a\xef\xbf\xbdz\xef\xbf\xbd")));
	cr_assert(str_eq(utf8_repair(&a, STR("\xed\xa0\x80")),
			 STR("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd")));
	cr_assert_eq(utf8_length(STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
}

Test(codec, every_code_point_comes_back)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	for (uint32_t c = 0; c <= 0x10ffff; c += c < 0x3000 ? 1 : 97) {
		struct str s;

		buf_clear(&b);
		utf8_add(&b, c);
		s = buf_str(&b);
		cr_assert_eq(utf8_find_invalid(s) < 0, c < 0xd800 || c > 0xdfff, "%x", c);
		cr_assert_eq(utf8_next(&s), c);
		cr_assert_eq(s.len, 0);
	}
}

Test(codec, next_never_reads_beyond_the_end)
{
	struct str s = STR("\xf0\x9f");
	int n = 0;

	for (; s.len > 0; n++)
		cr_assert_eq(utf8_next(&s), 0xfffd);
	cr_assert_eq(n, 2);
}
