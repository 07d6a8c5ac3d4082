#include "http/multipart.h"

#include "base/codec.h"
#include "base/error.h"
#include "http/media_type.h"

#define BOUNDARY_MOST  201
#define PART_HEAD_MOST 1024

/* Code points that Python's str.isprintable() refuses and that a file name may be made to carry:
 * controls, format characters (direction overrides above all), separators other than the space,
 * private use. */
/* clang-format off */
static const struct {
	uint32_t first, last;
} unprintable[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x00a0 }, { 0x00ad, 0x00ad },   { 0x0600, 0x0605 },
	{ 0x061c, 0x061c }, { 0x06dd, 0x06dd }, { 0x070f, 0x070f },   { 0x1680, 0x1680 },
	{ 0x180e, 0x180e }, { 0x2000, 0x200f }, { 0x2028, 0x202f },   { 0x205f, 0x206f },
	{ 0x3000, 0x3000 }, { 0xd800, 0xf8ff }, { 0xfeff, 0xfeff },   { 0xfff0, 0xfffb },
	{ 0xfffe, 0xffff }, { 0xe0000, 0x10ffff },
};
/* clang-format on */

static bool is_printable(uint32_t c)
{
	for (size_t i = 0; i < ARRAY_SIZE(unprintable); i++)
		if (c >= unprintable[i].first && c <= unprintable[i].last)
			return false;
	return true;
}

static struct str last_component(struct str s)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.at[i - 1] == '/' || s.at[i - 1] == '\\')
			return str_slice(s, i, s.len);
	return s;
}

struct str filename_sanitise(struct arena *a, struct str name)
{
	struct str rest = last_component(utf8_repair(a, name));
	char *to = arena_alloc(a, rest.len + 1), *out = to;

	while (rest.len > 0) {
		const char *at = rest.at;

		if (is_printable(utf8_next(&rest)))
			out = mempcpy(out, at, (size_t) (rest.at - at));
	}
	*out = '\0';
	name = str_make(to, (size_t) (out - to));
	if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
		return STR("");
	return name;
}

/* RFC 2046: up to 70 characters; Django takes 201 of those that are printable, not ending with a
 * space. */
static bool boundary_is_valid(struct str b)
{
	if (b.len == 0 || b.len > BOUNDARY_MOST || b.at[b.len - 1] == ' ')
		return false;
	for (size_t i = 0; i < b.len; i++)
		if (b.at[i] < ' ' || b.at[i] > '~')
			return false;
	return true;
}

/* "--boundary"; absent with the reason left if there is none that is fit. */
static int delimiter_of(struct arena *a, struct str content_type, struct str *ret)
{
	struct media_type type = media_type_parse(content_type);
	struct str boundary = parameter_find(a, type.parameters, STR("boundary"));

	if (str_is_null(boundary))
		boundary = STR("None"); /* as Python prints what is not there */
	else if (boundary_is_valid(boundary)) {
		*ret = arena_printf(a, "--%.*s", STR_ARG(boundary));
		return 0;
	}
	return fail(-E_BAD_REQUEST,
		    "Multipart form parse error - Invalid boundary in multipart: %.*s",
		    STR_ARG(str_slice(boundary, 0, 256)));
}

static struct str find_delimiter(struct str bytes, struct str delimiter)
{
	const char *found = memmem(bytes.at, bytes.len, delimiter.at, delimiter.len);

	return found == NULL ? STR_NULL : str_make(found, delimiter.len);
}

/* What stands before the next delimiter, without the line break that belongs to that; *rest moves
 * past it and becomes absent at the end. */
static bool cut_part(struct str *rest, struct str delimiter, struct str *ret_part)
{
	struct str found;

	if (str_is_null(*rest))
		return false;
	found = find_delimiter(*rest, delimiter);
	if (str_is_null(found)) {
		*ret_part = *rest;
		*rest = STR_NULL;
		return true;
	}
	*ret_part = str_make(rest->at, (size_t) (found.at - rest->at));
	*rest = str_slice(*rest, ret_part->len + delimiter.len, rest->len);
	if (str_ends(*ret_part, STR("\n")))
		ret_part->len--;
	if (str_ends(*ret_part, STR("\r")))
		ret_part->len--;
	return true;
}

struct part {
	struct str name, filename, content_type, bytes;
	bool has_disposition;
};

/* filename*=utf-8''caf%C3%A9.txt (RFC 5987), which Django prefers to nothing. */
static struct str extended_value(struct arena *a, struct str value)
{
	struct str charset, language;

	if (!str_cut(&value, '\'', &charset) || !str_cut(&value, '\'', &language) ||
	    str_is_null(value))
		return STR_NULL;
	return percent_decode(a, value, false);
}

static void read_disposition(struct arena *a, struct str parameters, struct part *p)
{
	struct str name, value, extended = STR_NULL;

	p->has_disposition = true;
	while (parameter_next(a, &parameters, &name, &value)) {
		if (str_eq_nocase(name, STR("name")))
			p->name = str_trim(value);
		else if (str_eq_nocase(name, STR("filename")))
			p->filename = value;
		else if (str_eq_nocase(name, STR("filename*")))
			extended = extended_value(a, value);
	}
	if (!str_is_null(extended))
		p->filename = extended;
}

static void read_line(struct arena *a, struct str line, struct part *p)
{
	struct str parameters = line, main, name;

	str_cut(&parameters, ';', &main);
	if (!str_cut(&main, ':', &name) || str_is_null(main))
		return;
	if (str_eq_nocase(str_trim(name), STR("content-disposition")))
		read_disposition(a, parameters, p);
	else if (str_eq_nocase(str_trim(name), STR("content-type")))
		p->content_type = str_trim(main);
}

static struct part read_part(struct arena *a, struct str raw)
{
	struct part p = { .content_type = STR("") };
	struct str head = str_slice(raw, 0, PART_HEAD_MOST), line;
	ptrdiff_t end = str_find(head, STR("\r\n\r\n"));

	if (end < 0)
		return p;
	p.bytes = str_slice(raw, (size_t) end + 4, raw.len);
	head.len = (size_t) end;
	while (str_cut(&head, '\n', &line))
		if (line.len > 0)
			read_line(a, str_trim(line), &p);
	return p;
}

#define PARTS_MOST (FORM_FIELDS_MOST + FORM_FILES_MOST + 2)

/* One pass over the bytes, which may be many; what is bounded is the number of parts. */
static int split_parts(struct arena *a, struct str bytes, struct str delimiter, struct str **ret,
		       size_t *ret_count)
{
	struct str *parts = arena_array(a, struct str, PARTS_MOST), part;
	size_t n = 0;

	while (cut_part(&bytes, delimiter, &part)) {
		if (n == PARTS_MOST)
			return fail(-E_TOO_LARGE, "a form with more than %d parts", PARTS_MOST);
		parts[n++] = part;
	}
	*ret = parts;
	*ret_count = n;
	return 0;
}

int multipart_parse(struct arena *a, struct str content_type, struct str bytes, struct body *ret)
{
	struct form_field *fields;
	struct upload *uploads;
	struct str delimiter, *parts = NULL;
	size_t count = 0, field_count = 0, upload_count = 0, outside_files = 0;
	int r = delimiter_of(a, content_type, &delimiter);

	if (r < 0)
		return r;
	r = split_parts(a, bytes, delimiter, &parts, &count);
	if (r < 0)
		return r;
	fields = arena_array(a, struct form_field, count);
	uploads = arena_array(a, struct upload, count);
	for (size_t i = 0; i < count; i++) {
		struct part p = read_part(a, parts[i]);
		struct str filename;

		if (!p.has_disposition || str_is_null(p.name))
			continue;
		if (p.filename.len == 0) {
			outside_files += p.name.len + p.bytes.len + 2;
			fields[field_count++] = (struct form_field){
				.name = utf8_repair(a, p.name),
				.value = utf8_repair(a, p.bytes),
			};
			continue;
		}
		filename = filename_sanitise(a, p.filename);
		if (filename.len > 0)
			uploads[upload_count++] = (struct upload){
				.name = utf8_repair(a, p.name),
				.filename = filename,
				.content_type = p.content_type,
				.bytes = p.bytes,
			};
	}
	if (field_count > FORM_FIELDS_MOST || upload_count > FORM_FILES_MOST ||
	    outside_files > FORM_BYTES_MOST)
		return fail(-E_TOO_LARGE, "a form with %zu fields of %zu bytes and %zu files",
			    field_count, outside_files, upload_count);
	*ret = (struct body){
		.kind = BODY_MULTIPART,
		.fields = fields,
		.field_count = field_count,
		.uploads = uploads,
		.upload_count = upload_count,
	};
	return 0;
}
