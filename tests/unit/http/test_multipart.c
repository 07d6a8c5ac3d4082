#include "http/multipart.h"

#include <criterion/criterion.h>

#include "base/error.h"

static struct arena arena;

static void tear_down(void)
{
	arena_fini(&arena);
}

TestSuite(multipart, .fini = tear_down);

#define TYPE "multipart/form-data; boundary=b"
#define FIELD(name, value)                                                                         \
	"--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

static struct body parse(const char *text)
{
	struct body body;

	cr_assert_eq(multipart_parse(&arena, STR(TYPE), str_c(text), &body), 0, "%s", text);
	cr_assert_eq(body.kind, BODY_MULTIPART);
	return body;
}

static void assert_field(const struct body *b, size_t i, const char *name, const char *value)
{
	cr_assert_lt(i, b->field_count);
	cr_assert(str_eq_c(b->fields[i].name, name), "name is %.*s", STR_ARG(b->fields[i].name));
	cr_assert(str_eq_c(b->fields[i].value, value), "value is %.*s",
		  STR_ARG(b->fields[i].value));
}

Test(multipart, reads_fields_in_their_order)
{
	struct body b = parse(FIELD("title", "A post") FIELD("tags", "x")
				      FIELD("tags", "") "--b--\r\n");

	cr_assert_eq(b.field_count, 3);
	cr_assert_eq(b.upload_count, 0);
	assert_field(&b, 0, "title", "A post");
	assert_field(&b, 1, "tags", "x");
	assert_field(&b, 2, "tags", "");
}

Test(multipart, reads_files)
{
	struct body b = parse(
		"--b\r\n"
		"content-disposition: form-data; name=\"image\"; filename=\"a b.png\"\r\n"
		"Content-Type: image/png\r\n\r\n"
		"\x89PNG\r\n\x1a\n\r\n--\r\n--b--");

	cr_assert_eq(b.upload_count, 1);
	cr_assert(str_eq_c(b.uploads[0].name, "image"));
	cr_assert(str_eq_c(b.uploads[0].filename, "a b.png"));
	cr_assert(str_eq_c(b.uploads[0].content_type, "image/png"));
	cr_assert(str_eq_c(b.uploads[0].bytes, "\x89PNG\r\n\x1a\n\r\n--"));
}

Test(multipart, keeps_the_habits_of_django)
{
	struct body b = parse("--b--\r\n");

	cr_assert_eq(b.field_count + b.upload_count, 0);
	/* what stands before the first boundary is a part */
	b = parse(
		"--c\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nTest Post\r\n--c--\r\n");
	cr_assert_eq(b.field_count, 1);
	assert_field(&b, 0, "title", "Test Post\r\n--c--\r\n");
	/* the last part needs no boundary behind it */
	b = parse(
		FIELD("a", "1") "--b\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\nx");
	assert_field(&b, 1, "content", "x");
	/* an empty file name makes a field */
	b = parse(
		"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n\r\n\r\n--b--");
	cr_assert_eq(b.upload_count, 0);
	assert_field(&b, 0, "f", "");
	/* no name, no disposition, no head: passed over */
	b = parse(
		"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b\r\nX: y\r\n\r\nz\r\n--b\r\nw--b--");
	cr_assert_eq(b.field_count + b.upload_count, 0);
	/* bare line feeds before the boundary belong to it as well */
	b = parse("--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\n--b--");
	assert_field(&b, 0, "a", "x");
}

Test(multipart, repairs_what_is_not_utf_8)
{
	struct body b = parse(FIELD("a\xff", "b\xfe") "--b--");

	assert_field(&b, 0, "a\xef\xbf\xbd", "b\xef\xbf\xbd");
}

Test(multipart, makes_file_names_harmless)
{
	/* clang-format off */
	static const struct {
		const char *sent, *kept;
	} cases[] = {
		{ "photo.jpg",                       "photo.jpg" },
		{ "../../etc/passwd",                "passwd" },
		{ "C:\\Users\\me\\photo.jpg",        "photo.jpg" },
		{ "a/b\\c",                          "c" },
		{ "..",                              "" },
		{ ".",                               "" },
		{ "dir/",                            "" },
		{ "My Ph\xc3\xb6to (1).JPG",         "My Ph\xc3\xb6to (1).JPG" },
		{ "a\nb\x7f.png",                    "ab.png" },
		{ "exe.\xe2\x80\xaegpj",             "exe.gpj" },
		{ "\xff.png",                        "\xef\xbf\xbd.png" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str kept = filename_sanitise(&arena, str_c(cases[i].sent));

		cr_assert(str_eq_c(kept, cases[i].kept), "%s: %.*s", cases[i].sent, STR_ARG(kept));
	}
}

Test(multipart, prefers_the_extended_file_name)
{
	struct body b = parse(
		"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"; "
		"filename*=utf-8''caf%C3%A9.txt\r\n\r\n1\r\n--b--");

	cr_assert(str_eq_c(b.uploads[0].filename, "caf\xc3\xa9.txt"));
}

Test(multipart, refuses_boundaries_that_are_none)
{
	/* clang-format off */
	static const struct {
		const char *type, *reason;
	} cases[] = {
		{ "multipart/form-data",              "Multipart form parse error - Invalid boundary in multipart: None" },
		{ "multipart/form-data; boundary=",   "Multipart form parse error - Invalid boundary in multipart: " },
		{ "multipart/form-data; boundary=\"a \"", "Multipart form parse error - Invalid boundary in multipart: a " },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct body body;

		cr_assert_eq(multipart_parse(&arena, str_c(cases[i].type), STR("x"), &body),
			     -E_BAD_REQUEST);
		cr_assert_str_eq(fail_reason(-E_BAD_REQUEST), cases[i].reason);
	}
}

static int parse_repeated(const char *part, size_t times)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	struct body body;

	while (times-- > 0)
		buf_add_c(&b, part);
	buf_add_c(&b, "--b--\r\n");
	return multipart_parse(&arena, STR(TYPE), buf_str(&b), &body);
}

Test(multipart, bounds_the_number_of_fields_and_files)
{
	const char *file = "--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nx\r\n";

	cr_assert_eq(parse_repeated(FIELD("a", "1"), 1000), 0);
	cr_assert_eq(parse_repeated(FIELD("a", "1"), 1001), -E_TOO_LARGE);
	cr_assert_eq(parse_repeated(FIELD("a", "1"), 5000), -E_TOO_LARGE);
	cr_assert_eq(parse_repeated(file, 100), 0);
	cr_assert_eq(parse_repeated(file, 101), -E_TOO_LARGE);
}

Test(multipart, bounds_the_bytes_outside_of_files)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	struct body body;

	buf_add_c(&b, "--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\n");
	while (b.len < FORM_BYTES_MOST + 1000)
		buf_add_c(&b, "0123456789");
	cr_assert_eq(multipart_parse(&arena, STR(TYPE), buf_str(&b), &body), 0);
	buf_clear(&b);
	buf_add_c(&b, "--b\r\nContent-Disposition: form-data; name=f\r\n\r\n");
	while (b.len < FORM_BYTES_MOST + 1000)
		buf_add_c(&b, "0123456789");
	cr_assert_eq(multipart_parse(&arena, STR(TYPE), buf_str(&b), &body), -E_TOO_LARGE);
}
