/* The reading half of base/json.h; the writing half is json_write.c. */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/codec.h"

/*
 * One pass over the text with an explicit stack of open brackets.  Each bracket costs a node in the
 * arena and a pointer to its parent, so depth is a matter of bytes; `most_depth` bounds it
 * nevertheless.
 *
 * The order of the checks is that of CPython's decoder, because it decides which sentence and
 * position a broken text gets: "[1,]" fails at the bracket, "{"a":1,}" at the brace with another
 * sentence, and an unfinished string at its opening quote.
 */
struct scanner {
	struct arena *arena;
	const char *start, *at, *end;
	enum json_dialect dialect;
	unsigned depth, most_depth;
	struct json_error *error;
	struct json *tree;
	struct level *level; /* the innermost open bracket */
	struct level *spare; /* closed ones, to be used again */
};

struct level {
	struct level *outer;
	struct json *node;
	struct json **slot; /* of the next member */
};

static unsigned long long characters(const char *from, const char *to)
{
	return utf8_length(str_make(from, (size_t) (to - from)));
}

static int complain(struct scanner *s, const char *at, const char *what)
{
	const char *line_start = s->start;
	unsigned long long line = 1;

	for (const char *c = s->start; (c = memchr(c, '\n', (size_t) (at - c))) != NULL;
	     line_start = ++c)
		line++;
	s->error->at = (size_t) (at - s->start);
	snprintf(s->error->sentence, sizeof(s->error->sentence),
		 "%s: line %llu column %llu (char %llu)", what, line,
		 characters(line_start, at) + 1, characters(s->start, at));
	return -EINVAL;
}

static int complain_utf8(struct str text, struct json_error *e)
{
	const char *why;
	size_t len;
	ptrdiff_t at = utf8_find_invalid_why(text, &len, &why);

	if (at < 0)
		return 0;
	e->at = (size_t) at;
	if (len == 1)
		snprintf(e->sentence, sizeof(e->sentence),
			 "'utf-8' codec can't decode byte 0x%02x in position %td: %s",
			 (uint8_t) text.at[at], at, why);
	else
		snprintf(e->sentence, sizeof(e->sentence),
			 "'utf-8' codec can't decode bytes in position %td-%td: %s", at,
			 at + (ptrdiff_t) len - 1, why);
	return -EINVAL;
}

static void skip_space(struct scanner *s)
{
	while (s->at < s->end &&
	       (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
		s->at++;
}

static bool is_digit(const struct scanner *s, const char *at)
{
	return at < s->end && *at >= '0' && *at <= '9';
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/*
 * `at` is behind \u.  Four digits, and one more character must follow (the quote at least): without
 * it CPython complains of the escape rather than of the missing quote.
 */
static bool is_unicode_escape(const struct scanner *s, const char *at)
{
	if (s->end - at < 5)
		return false;
	for (int i = 0; i < 4; i++)
		if (!is_hex(at[i]))
			return false;
	return true;
}

/* s->at is behind the opening quote; it ends behind the closing one. */
static int scan_string(struct scanner *s, struct str *ret_text, bool *ret_is_plain)
{
	const char *start = s->at, *at = start;
	bool is_plain = true;

	for (;; at++) {
		if (at == s->end)
			return complain(s, start - 1, "Unterminated string starting at");
		if (likely((uint8_t) *at >= 0x20 && *at != '"' && *at != '\\'))
			continue;
		if (*at == '"')
			break;
		if (*at != '\\')
			return complain(s, at, "Invalid control character at");
		is_plain = false;
		if (++at == s->end)
			return complain(s, start - 1, "Unterminated string starting at");
		if (*at == 'u') {
			if (!is_unicode_escape(s, at + 1))
				return complain(s, at, "Invalid \\uXXXX escape");
			at += 4;
		} else if (strchr("\"\\/bfnrt", *at) == NULL || *at == '\0') {
			return complain(s, at - 1, "Invalid \\escape");
		}
	}
	*ret_text = str_make(start, (size_t) (at - start));
	*ret_is_plain = is_plain;
	s->at = at + 1;
	return 0;
}

static struct json *node_new(struct scanner *s, enum json_type type)
{
	struct json *n = arena_new(s->arena, struct json);

	n->type = type;
	return n;
}

/* -0, 1, 1.5, 1e5; NULL if no number begins here. */
static struct json *scan_number(struct scanner *s)
{
	const char *at = s->at, *more;
	struct json *n;
	bool is_integer = true;

	if (*at == '-')
		at++;
	if (!is_digit(s, at))
		return NULL;
	if (*at == '0')
		at++;
	else
		while (is_digit(s, at))
			at++;
	/* What looks like a fraction or an exponent but has no digits is not part of the number. */
	if (at < s->end && *at == '.' && is_digit(s, at + 1)) {
		is_integer = false;
		for (at++; is_digit(s, at);)
			at++;
	}
	if (at < s->end && (*at == 'e' || *at == 'E')) {
		more = at + 1;
		if (more < s->end && (*more == '-' || *more == '+'))
			more++;
		if (is_digit(s, more)) {
			is_integer = false;
			for (at = more; is_digit(s, at);)
				at++;
		}
	}
	n = node_new(s, JSON_NUMBER);
	n->is_integer = is_integer;
	n->text = str_make(s->at, (size_t) (at - s->at));
	s->at = at;
	return n;
}

/* What begins with a letter, or with "-I". */
static const struct word {
	struct str text;
	enum json_type type;
	bool is_python_only;
} words[] = {
	{ STR_INIT("null"), JSON_NULL, false },      { STR_INIT("true"), JSON_TRUE, false },
	{ STR_INIT("false"), JSON_FALSE, false },    { STR_INIT("NaN"), JSON_NUMBER, true },
	{ STR_INIT("Infinity"), JSON_NUMBER, true }, { STR_INIT("-Infinity"), JSON_NUMBER, true },
};

/* These three return NULL when they have complained. */
static struct json *scan_word(struct scanner *s)
{
	struct str rest = str_make(s->at, (size_t) (s->end - s->at));

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct word *w = &words[i];
		struct json *n;

		if (!str_starts(rest, w->text))
			continue;
		if (w->is_python_only && s->dialect == JSON_STRICT) {
			s->error->at = (size_t) (s->at - s->start);
			snprintf(s->error->sentence, sizeof(s->error->sentence),
				 "Out of range float values are not JSON compliant: '%s'",
				 w->text.at);
			return NULL;
		}
		n = node_new(s, w->type);
		n->text = str_slice(rest, 0, w->text.len);
		s->at += w->text.len;
		return n;
	}
	(void) complain(s, s->at, "Expecting value");
	return NULL;
}

/* A value that is no container. */
static struct json *scan_scalar(struct scanner *s)
{
	struct json *n;
	struct str text;
	bool is_plain;

	if (*s->at != '"') {
		n = scan_number(s);
		return n != NULL ? n : scan_word(s);
	}
	s->at++;
	if (scan_string(s, &text, &is_plain) < 0)
		return NULL;
	n = node_new(s, JSON_STRING);
	n->text = text;
	n->is_plain = is_plain;
	return n;
}

static struct json *open_level(struct scanner *s)
{
	struct level *l = s->spare;

	if (s->depth == s->most_depth) {
		char what[48];

		snprintf(what, sizeof(what), "Nesting is deeper than %u levels", s->most_depth);
		(void) complain(s, s->at, what);
		return NULL;
	}
	if (l != NULL)
		s->spare = l->outer;
	else
		l = arena_alloc(s->arena, sizeof(*l));
	l->node = node_new(s, *s->at == '{' ? JSON_OBJECT : JSON_ARRAY);
	l->node->text.at = s->at++;
	l->slot = &l->node->first;
	l->outer = s->level;
	s->level = l;
	s->depth++;
	return l->node;
}

static void close_level(struct scanner *s)
{
	struct level *l = s->level;

	s->at++;
	l->node->text.len = (size_t) (s->at - l->node->text.at);
	s->level = l->outer;
	s->depth--;
	l->outer = s->spare;
	s->spare = l;
}

/* One value, or the opening bracket of one, linked in as the next member of the innermost
 * bracket. */
static int scan_value(struct scanner *s, struct str key, bool key_is_plain)
{
	struct level *parent = s->level;
	struct json *n;

	if (s->at == s->end)
		return complain(s, s->at, "Expecting value");
	n = *s->at == '{' || *s->at == '[' ? open_level(s) : scan_scalar(s);
	if (n == NULL)
		return -EINVAL;
	n->key = key;
	n->key_is_plain = key_is_plain;
	if (parent == NULL) {
		s->tree = n;
	} else {
		must(parent->node->count < UINT32_MAX);
		parent->node->count++;
		*parent->slot = n;
		parent->slot = &n->next;
	}
	return 0;
}

/* A key with its colon, then the value. */
static int scan_member(struct scanner *s)
{
	struct str key;
	bool is_plain;
	int r;

	if (s->at == s->end || *s->at != '"')
		return complain(s, s->at, "Expecting property name enclosed in double quotes");
	s->at++;
	r = scan_string(s, &key, &is_plain);
	if (r < 0)
		return r;
	skip_space(s);
	if (s->at == s->end || *s->at != ':')
		return complain(s, s->at, "Expecting ':' delimiter");
	s->at++;
	skip_space(s);
	return scan_value(s, key, is_plain);
}

/* What may follow within the innermost bracket: its end, or (a comma and) a member. */
static int scan_next(struct scanner *s)
{
	bool is_object = s->level->node->type == JSON_OBJECT;

	skip_space(s);
	if (s->at < s->end && *s->at == (is_object ? '}' : ']')) {
		close_level(s);
		return 0;
	}
	if (s->level->node->count > 0) {
		if (s->at == s->end || *s->at != ',')
			return complain(s, s->at, "Expecting ',' delimiter");
		s->at++;
		skip_space(s);
	}
	return is_object ? scan_member(s) : scan_value(s, STR_NULL, false);
}

int json_parse(struct arena *arena, struct str text, enum json_dialect dialect, unsigned max_depth,
	       struct json **ret_tree, struct json_error *ret_error)
{
	struct scanner s = {
		.arena = arena,
		.start = text.at,
		.at = text.at,
		.end = text.at + text.len,
		.dialect = dialect,
		.most_depth = max_depth,
		.error = ret_error,
	};
	int r;

	must(!str_is_null(text));
	r = complain_utf8(text, ret_error);
	if (r < 0)
		return r;
	if (str_starts(text, STR("\xef\xbb\xbf")))
		return complain(&s, s.at, "Unexpected UTF-8 BOM (decode using utf-8-sig)");
	skip_space(&s);
	r = scan_value(&s, STR_NULL, false);
	while (r == 0 && s.level != NULL)
		r = scan_next(&s);
	if (r < 0)
		return r;
	skip_space(&s);
	if (s.at < s.end)
		return complain(&s, s.at, "Extra data");
	*ret_tree = s.tree;
	return 0;
}

static unsigned hex_value(char c)
{
	return c <= '9' ? (unsigned) (c - '0') : (unsigned) ((c | 0x20) - 'a' + 10);
}

static uint32_t read_unit(const char *at)
{
	return hex_value(at[0]) << 12 | hex_value(at[1]) << 8 | hex_value(at[2]) << 4 |
	       hex_value(at[3]);
}

/* One escape of a text that was checked: the code point, and *at behind it. */
static uint32_t unescape(const char **at, const char *end)
{
	static const char plain[256] = {
		['b'] = '\b', ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r',
		['t'] = '\t', ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',
	};
	const char *c = *at + 1;
	uint32_t unit, low;

	if (*c != 'u') {
		*at = c + 1;
		return (uint32_t) plain[(uint8_t) *c];
	}
	unit = read_unit(c + 1);
	c += 5;
	if (unit >= 0xd800 && unit < 0xdc00 && end - c >= 6 && c[0] == '\\' && c[1] == 'u') {
		low = read_unit(c + 2);
		if (low >= 0xdc00 && low < 0xe000) {
			unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
			c += 6;
		}
	}
	*at = c;
	return unit;
}

static void unescape_all(struct buf *out, struct str text)
{
	const char *at = text.at, *end = text.at + text.len;

	buf_reserve(out, text.len);
	while (at < end) {
		const char *backslash = memchr(at, '\\', (size_t) (end - at));

		buf_add(out, at, (size_t) ((backslash == NULL ? end : backslash) - at));
		if (backslash == NULL)
			return;
		at = backslash;
		utf8_add(out, unescape(&at, end));
	}
}

static struct str value_of(struct arena *a, struct str text, bool is_plain)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	if (is_plain)
		return text;
	unescape_all(&b, text);
	return arena_str(a, buf_str(&b));
}

struct str json_text(struct arena *a, const struct json *j)
{
	must(j->type == JSON_STRING);
	return value_of(a, j->text, j->is_plain);
}

struct str json_key(struct arena *a, const struct json *member)
{
	return value_of(a, member->key, member->key_is_plain);
}

static bool key_is(const struct json *member, struct str key)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	if (member->key_is_plain)
		return str_eq(member->key, key);
	if (member->key.len < key.len)
		return false; /* escapes only make longer */
	unescape_all(&b, member->key);
	return str_eq(buf_str(&b), key);
}

const struct json *json_get(const struct json *object, struct str key)
{
	const struct json *found = NULL;

	if (object == NULL || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *m = object->first; m != NULL; m = m->next)
		if (key_is(m, key))
			found = m;
	return found;
}

int json_to_i64(const struct json *j, int64_t *ret)
{
	if (j->type != JSON_NUMBER || !j->is_integer)
		return -EINVAL;
	return str_to_i64(j->text, ret);
}

int json_to_double(const struct json *j, double *ret)
{
	int r;

	if (j->type != JSON_NUMBER)
		return -EINVAL;
	r = str_to_double(j->text, ret);
	if (r == -ERANGE) {
		/* Python reads 1e999 as infinity. */
		*ret = j->text.at[0] == '-' ? -INFINITY : INFINITY;
		return 0;
	}
	if (r < 0) {
		/* One of the three words; the scanner lets nothing else pass as a number. */
		*ret = str_eq(j->text, STR("NaN")) ? NAN
		       : j->text.at[0] == '-'      ? -INFINITY
						   : INFINITY;
		return 0;
	}
	return 0;
}

struct str json_raw(const struct json *j)
{
	size_t quotes = j->type == JSON_STRING ? 1 : 0;

	return str_make(j->text.at - quotes, j->text.len + 2 * quotes);
}

bool json_is_true(const struct json *j)
{
	return j != NULL && j->type == JSON_TRUE;
}

static void put_scalar(struct json_writer *w, const struct json *j)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	if (j->type != JSON_STRING) {
		json_put_raw(w, j->text);
	} else if (j->is_plain) {
		json_put_str(w, j->text);
	} else {
		unescape_all(&b, j->text);
		json_put_str(w, buf_str(&b));
	}
}

static void put_key(struct json_writer *w, const struct json *member)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	if (member->key_is_plain) {
		json_put_key(w, member->key);
	} else {
		unescape_all(&b, member->key);
		json_put_key(w, buf_str(&b));
	}
}

void json_put_tree(struct json_writer *w, const struct json *tree)
{
	const struct json *open[sizeof(w->has_members) * 8], *j = tree;
	size_t depth = 0;

	for (;;) {
		bool is_container = j->type == JSON_ARRAY || j->type == JSON_OBJECT;

		if (depth > 0 && open[depth - 1]->type == JSON_OBJECT)
			put_key(w, j);
		if (is_container) {
			must(depth < ARRAY_SIZE(open));
			if (j->type == JSON_ARRAY)
				json_begin_array(w);
			else
				json_begin_object(w);
			open[depth++] = j;
		} else {
			put_scalar(w, j);
		}
		if (is_container && j->first != NULL) {
			j = j->first;
			continue;
		}
		/* On to the next sibling, closing what has none left; an empty container closes
		 * itself. */
		if (!is_container && depth == 0)
			return;
		while (depth > 0 && (j == open[depth - 1] || j->next == NULL)) {
			j = open[--depth];
			if (j->type == JSON_ARRAY)
				json_end_array(w);
			else
				json_end_object(w);
			if (depth == 0)
				return;
			if (j->next != NULL)
				break;
		}
		j = j->next;
	}
}
