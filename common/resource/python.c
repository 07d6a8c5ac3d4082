#include "resource/python.h"

#include "base/codec.h"

const char *python_type_name(const struct json *json)
{
	switch (json->type) {
	case JSON_NULL:
		return "NoneType";
	case JSON_FALSE:
	case JSON_TRUE:
		return "bool";
	case JSON_NUMBER:
		return json->is_integer ? "int" : "float";
	case JSON_STRING:
		return "str";
	case JSON_ARRAY:
		return "list";
	case JSON_OBJECT:
		return "dict";
	}
	must_not_reach("a JSON type that does not exist");
}

static bool is_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
	       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
	       c == 0x202f || c == 0x205f || c == 0x3000;
}

struct str python_strip(struct str s)
{
	struct str rest = s;

	while (rest.len > 0) {
		struct str before = rest;

		if (!is_space(utf8_next(&rest))) {
			s = before;
			break;
		}
		s = rest;
	}
	size_t end = 0;
	for (rest = s; rest.len > 0;) {
		if (!is_space(utf8_next(&rest)))
			end = s.len - rest.len;
	}
	return str_slice(s, 0, end);
}

/* str() of a JSON number as Python reads it: integers as they are, the rest through a float. */
static struct str python_number_text(struct arena *arena, const struct json *json)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	double number;

	if (json->is_integer)
		return str_eq_c(json->text, "-0") ? STR("0") : json->text;
	if (json_to_double(json, &number) < 0)
		return json->text;
	json_double_add(&text, number);
	return arena_str(arena, buf_str(&text));
}

/* repr() of a str: in single quotes, unless it has those and no double ones. */
static void add_text_repr(struct buf *out, struct str text)
{
	bool is_double = str_find_char(text, '\'') >= 0 && str_find_char(text, '"') < 0;
	char quote = is_double ? '"' : '\'';

	buf_add_byte(out, quote);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char) text.at[i];

		if (c == '\n' || c == '\r' || c == '\t')
			buf_printf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		else if (c < ' ' || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else if (c == '\\' || c == (unsigned char) quote)
			buf_printf(out, "\\%c", c);
		else
			buf_add_byte(out, (char) c);
	}
	buf_add_byte(out, quote);
}

/* repr() of what json.loads makes of it.  Recursive, as deep as the gate of the body let it be. */
static void add_repr(struct buf *out, struct arena *arena, const struct json *json)
{
	bool is_object = json->type == JSON_OBJECT;

	if (json->type == JSON_STRING) {
		add_text_repr(out, utf8_repair(arena, json_text(arena, json)));
		return;
	}
	if (json->type != JSON_ARRAY && !is_object) {
		buf_add_str(out, python_text(arena, json));
		return;
	}
	buf_add_byte(out, is_object ? '{' : '[');
	for (const struct json *one = json->first; one != NULL; one = one->next) {
		if (one != json->first)
			buf_add_c(out, ", ");
		if (is_object) {
			add_text_repr(out, utf8_repair(arena, json_key(arena, one)));
			buf_add_c(out, ": ");
		}
		add_repr(out, arena, one);
	}
	buf_add_byte(out, is_object ? '}' : ']');
}

struct str python_text(struct arena *arena, const struct json *json)
{
	switch (json->type) {
	case JSON_TRUE:
		return STR("True");
	case JSON_FALSE:
		return STR("False");
	case JSON_NULL:
		return STR("None");
	case JSON_NUMBER:
		return python_number_text(arena, json);
	case JSON_STRING:
		return utf8_repair(arena, json_text(arena, json));
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	add_repr(&text, arena, json);
	return arena_str(arena, buf_str(&text));
}
