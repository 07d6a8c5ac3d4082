#include "base/yaml.h"

static void add_indent(struct buf *out, unsigned depth)
{
	for (unsigned i = 0; i < 2 * depth; i++)
		buf_add_byte(out, ' ');
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What YAML 1.1 reads as a boolean or as nothing. */
static bool is_word_of_yaml(struct str text)
{
	static const char *const words[] = { "y",   "n",    "yes",   "no",   "on",
					     "off", "true", "false", "null", "~" };
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (str_eq_nocase(text, str_c(words[i])))
			return true;
	}
	return false;
}

/* Begins with a letter or '/', and holds nothing that has a meaning.  More than needed is quoted; none
 * less. */
static bool is_plain(struct str text)
{
	if (text.len == 0 || is_word_of_yaml(text))
		return false;
	if (!is_letter(text.at[0]) && text.at[0] != '/')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char) text.at[i];
		bool is_last = i + 1 == text.len;

		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			return false;
		if (c == ':' && (is_last || text.at[i + 1] == ' '))
			return false;
		if (c == '#' && i > 0 && text.at[i - 1] == ' ')
			return false;
		if (c == ' ' && is_last)
			return false;
	}
	return true;
}

/* Lines without blanks at their ends, the last one without its newline: a literal block holds them. */
static bool is_block(struct str text)
{
	if (text.len == 0 || text.at[0] == ' ' || text.at[0] == '\n' ||
	    text.at[text.len - 1] == '\n' || str_find_char(text, '\n') < 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char) text.at[i];

		if (c == '\n' ? text.at[i - 1] == ' ' : c < ' ' || c > '~')
			return false;
	}
	return true;
}

static void add_text(struct buf *out, struct str text, unsigned depth)
{
	struct str line;

	if (is_block(text)) {
		buf_add_c(out, "|-");
		while (str_cut(&text, '\n', &line)) {
			buf_add_byte(out, '\n');
			if (line.len == 0)
				continue;
			add_indent(out, depth);
			buf_add_str(out, line);
		}
		return;
	}
	if (is_plain(text)) {
		buf_add_str(out, text);
		return;
	}
	/* A JSON string is a quoted one of YAML. */
	json_escape_add(out, text, JSON_ESCAPE_DRF);
}

static void add_value(struct buf *out, struct arena *arena, const struct json *value,
		      unsigned depth, bool is_in_list);

static void add_members(struct buf *out, struct arena *arena, const struct json *object,
			unsigned depth, bool is_in_list)
{
	for (const struct json *m = object->first; m != NULL; m = m->next) {
		/* The first member stands behind its list's dash. */
		if (m != object->first || !is_in_list)
			add_indent(out, depth);
		add_text(out, json_key(arena, m), depth);
		buf_add_byte(out, ':');
		add_value(out, arena, m, depth, false);
	}
}

static void add_items(struct buf *out, struct arena *arena, const struct json *array,
		      unsigned depth)
{
	for (const struct json *item = array->first; item != NULL; item = item->next) {
		add_indent(out, depth);
		buf_add_byte(out, '-');
		add_value(out, arena, item, depth, true);
	}
}

/* Behind "key:" or "-", up to the end of the line. */
static void add_value(struct buf *out, struct arena *arena, const struct json *value,
		      unsigned depth, bool is_in_list)
{
	if (value->type == JSON_OBJECT && value->first != NULL) {
		buf_add_byte(out, is_in_list ? ' ' : '\n');
		add_members(out, arena, value, depth + 1, is_in_list);
		return;
	}
	if (value->type == JSON_ARRAY && value->first != NULL) {
		/* PyYAML does not indent the items of a member. */
		buf_add_byte(out, '\n');
		add_items(out, arena, value, is_in_list ? depth + 1 : depth);
		return;
	}
	buf_add_byte(out, ' ');
	switch (value->type) {
	case JSON_STRING:
		add_text(out, json_text(arena, value), depth + 1);
		break;
	case JSON_OBJECT:
		buf_add_c(out, "{}");
		break;
	case JSON_ARRAY:
		buf_add_c(out, "[]");
		break;
	case JSON_NUMBER:
		buf_add_str(out, value->text);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_add_c(out, value->type == JSON_TRUE ? "true" : "false");
		break;
	default:
		buf_add_c(out, "null");
		break;
	}
	buf_add_byte(out, '\n');
}

void yaml_add(struct buf *out, struct arena *arena, const struct json *document)
{
	if (document->type == JSON_OBJECT && document->first != NULL)
		add_members(out, arena, document, 0, false);
	else if (document->type == JSON_ARRAY && document->first != NULL)
		add_items(out, arena, document, 0);
	else
		add_value(out, arena, document, 0, true);
}
