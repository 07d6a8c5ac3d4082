#include "fuzz.h"

#include "base/codec.h"
#include "http/multipart.h"

static bool is_within(struct str part, struct str whole)
{
	return part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

/* The first line is the content type, the rest the body. */
void fuzz_multipart(struct str input)
{
	_cleanup_(arena_fini) struct arena a;
	struct str rest = input, type;
	struct body body = { 0 };

	arena_init(&a);
	str_cut(&rest, '\n', &type);
	if (str_is_null(rest))
		rest = STR("");
	if (multipart_parse(&a, type, rest, &body) < 0)
		return;
	must(body.field_count <= FORM_FIELDS_MOST && body.upload_count <= FORM_FILES_MOST);
	for (size_t i = 0; i < body.field_count; i++)
		must(utf8_find_invalid(body.fields[i].name) < 0 &&
		     utf8_find_invalid(body.fields[i].value) < 0);
	for (size_t i = 0; i < body.upload_count; i++) {
		const struct upload *u = &body.uploads[i];

		must(is_within(u->bytes, rest));
		must(u->filename.len > 0 && str_find_char(u->filename, '/') < 0 &&
		     str_find_char(u->filename, '\0') < 0);
	}
}
