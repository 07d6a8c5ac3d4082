#include "queue/repr.h"

#include <math.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/json.h"

#define DEPTH_MOST     200
#define LEVELS_MOST    3
#define REPR_MOST      1024
/* More is not parsed for a text that is cut anyway. */
#define REPR_READ_MOST (1 * MIB)

/* What has no members. */
static void add_scalar(struct buf *out, const struct json *v)
{
	double x;

	if (v->type == JSON_NULL)
		buf_add_c(out, "None");
	else if (v->type == JSON_FALSE || v->type == JSON_TRUE)
		buf_add_c(out, v->type == JSON_TRUE ? "True" : "False");
	else if (v->is_integer || json_to_double(v, &x) < 0)
		buf_add_str(out, v->text);
	else if (isnan(x))
		buf_add_c(out, "nan");
	else if (isinf(x))
		buf_add_c(out, x < 0 ? "-inf" : "inf");
	else
		json_double_add(out, x);
}

/* saferepr. */

struct safe {
	struct buf *out;
	struct arena *arena;
	int64_t left; /* characters */
	unsigned level;
	bool is_cut;
};

static int64_t characters(struct str s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char) s.at[i] & 0xc0) != 0x80;
	return n;
}

/* The cut comes before a token; afterwards only closing brackets are shown. */
static bool may_add(struct safe *s)
{
	if (s->is_cut)
		return false;
	if (s->left > 0)
		return true;
	buf_add_c(s->out, ", ...");
	s->is_cut = true;
	return false;
}

static void add_token(struct safe *s, struct str token)
{
	if (!may_add(s))
		return;
	buf_add_str(s->out, token);
	s->left -= characters(token);
}

/* The first `most` characters. */
static struct str cut_characters(struct str s, int64_t most)
{
	size_t i = 0;

	for (int64_t n = 0; i < s.len; i++)
		if (((unsigned char) s.at[i] & 0xc0) != 0x80 && n++ == most)
			break;
	return str_slice(s, 0, i);
}

/* Celery's truncate: at the last space before the cut. */
static void add_truncated(struct buf *out, struct str text, int64_t most, char escaped)
{
	bool is_long = characters(text) >= most;

	if (is_long) {
		text = cut_characters(text, most);
		for (size_t i = text.len; i > 0; i--)
			if (text.at[i - 1] == ' ') {
				text = str_slice(text, 0, i - 1);
				break;
			}
	}
	for (size_t i = 0; i < text.len; i++) {
		if (escaped != '\0' && text.at[i] == escaped)
			buf_add_byte(out, '\\');
		buf_add_byte(out, text.at[i]);
	}
	if (is_long)
		buf_add_c(out, "...");
}

static void safe_text(struct safe *s, struct str text)
{
	_cleanup_(buf_fini) struct buf quoted = BUF_INIT;

	if (!may_add(s))
		return;
	buf_add_byte(&quoted, '\'');
	add_truncated(&quoted, text, s->left, '\'');
	buf_add_byte(&quoted, '\'');
	add_token(s, buf_str(&quoted));
}

static void safe_scalar(struct safe *s, const struct json *v)
{
	_cleanup_(buf_fini) struct buf plain = BUF_INIT, cut = BUF_INIT;

	if (!may_add(s))
		return;
	add_scalar(&plain, v);
	add_truncated(&cut, buf_str(&plain), s->left, '\0');
	add_token(s, buf_str(&cut));
}

struct brackets {
	struct str open, close;
};

static struct brackets brackets_of(const struct json *v, bool is_tuple)
{
	if (v->type == JSON_OBJECT)
		return (struct brackets){ STR("{"), STR("}") };
	if (!is_tuple)
		return (struct brackets){ STR("["), STR("]") };
	return (struct brackets){ STR("("), v->count == 1 ? STR(",)") : STR(")") };
}

static void safe_add(struct safe *s, const struct json *v, bool is_tuple);

static void safe_members(struct safe *s, const struct json *v)
{
	for (const struct json *m = v->first; m != NULL && !s->is_cut; m = m->next) {
		if (m != v->first)
			add_token(s, STR(", "));
		if (v->type == JSON_OBJECT) {
			safe_text(s, json_key(s->arena, m));
			add_token(s, STR(": "));
		}
		safe_add(s, m, false);
	}
}

/* Not deeper than LEVELS_MOST. */
static void safe_add(struct safe *s, const struct json *v, bool is_tuple)
{
	struct brackets b;

	if (v->type == JSON_STRING) {
		safe_text(s, json_text(s->arena, v));
		return;
	}
	if (v->type != JSON_ARRAY && v->type != JSON_OBJECT) {
		safe_scalar(s, v);
		return;
	}
	b = brackets_of(v, is_tuple);
	if (s->level >= LEVELS_MOST) {
		add_token(s,
			  arena_printf(s->arena, "%.*s...%.*s", STR_ARG(b.open), STR_ARG(b.close)));
		return;
	}
	add_token(s, b.open);
	if (s->is_cut)
		return; /* it was never opened */
	s->level++;
	safe_members(s, v);
	s->level--;
	/* What closes is shown whatever room is left. */
	buf_add_str(s->out, b.close);
	s->left -= characters(b.close);
}

static struct str safe_repr(struct arena *arena, struct str json, bool is_tuple)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct safe s = { .out = &text, .arena = arena, .left = REPR_MOST };
	struct json_error error;
	struct json *tree;

	if (json.len > REPR_READ_MOST)
		return STR("...");
	if (json_parse(arena, json, JSON_PYTHON, DEPTH_MOST, &tree, &error) < 0) {
		fail_clear(); /* the caller checked it; a display text is no place to complain */
		return STR("...");
	}
	safe_add(&s, tree, is_tuple && tree->type == JSON_ARRAY);
	return arena_str(arena, utf8_repair(arena, buf_str(&text))); /* lone surrogates */
}

struct str message_repr(struct arena *arena, struct str json)
{
	return safe_repr(arena, json, false);
}

struct str message_repr_args(struct arena *arena, struct str json)
{
	return safe_repr(arena, json, true);
}

/* repr. */

static void add_character(struct buf *out, unsigned char c, char quote)
{
	static const struct {
		char byte, letter;
	} escapes[] = { { '\n', 'n' }, { '\r', 'r' }, { '\t', 't' }, { '\\', '\\' } };

	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++)
		if ((char) c == escapes[i].byte) {
			buf_printf(out, "\\%c", escapes[i].letter);
			return;
		}
	if ((char) c == quote)
		buf_printf(out, "\\%c", c);
	else if (c < ' ' || c == 0x7f)
		buf_printf(out, "\\x%02x", c);
	else
		buf_add_byte(out, (char) c);
}

static void add_quoted(struct buf *out, struct str text)
{
	char quote = str_find_char(text, '\'') >= 0 && str_find_char(text, '"') < 0 ? '"' : '\'';

	buf_add_byte(out, quote);
	for (size_t i = 0; i < text.len; i++)
		add_character(out, (unsigned char) text.at[i], quote);
	buf_add_byte(out, quote);
}

/* The tree was parsed with a bound on its depth. */
void repr_add(struct buf *out, struct arena *arena, const struct json *v)
{
	struct brackets b;

	if (v->type == JSON_STRING) {
		add_quoted(out, json_text(arena, v));
		return;
	}
	if (v->type != JSON_ARRAY && v->type != JSON_OBJECT) {
		add_scalar(out, v);
		return;
	}
	b = brackets_of(v, false);
	buf_add_str(out, b.open);
	for (const struct json *m = v->first; m != NULL; m = m->next) {
		if (m != v->first)
			buf_add_c(out, ", ");
		if (v->type == JSON_OBJECT) {
			add_quoted(out, json_key(arena, m));
			buf_add_c(out, ": ");
		}
		repr_add(out, arena, m);
	}
	buf_add_str(out, b.close);
}
