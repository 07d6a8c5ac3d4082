/*
 * search.c - the terms of ?search= as DRF's search_smart_split has them: white space parts, phrases in
 * quotes stay whole, what stands outside of quotes is split at commas.
 */
#include "base/codec.h"
#include "resource/coerce.h"
#include "resource/selection.h"

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Past a phrase that begins with its quote; where it is not closed, the quote is a letter like others. */
static size_t phrase_end(struct str text, size_t at)
{
	char quote = text.at[at];

	for (size_t i = at + 1; i < text.len; i++) {
		if (text.at[i] == '\\')
			i++;
		else if (text.at[i] == quote)
			return i + 1;
	}
	return 0;
}

/* One piece of Django's smart_split: white space ends it, except inside of quotes. */
static struct str next_piece(struct str *rest)
{
	struct str text = *rest;
	size_t from = 0, at;

	while (from < text.len && is_space(text.at[from]))
		from++;
	for (at = from; at < text.len && !is_space(text.at[at]);) {
		size_t end = text.at[at] == '"' || text.at[at] == '\'' ? phrase_end(text, at) : 0;

		at = end > 0 ? end : at + 1;
	}
	*rest = str_slice(text, at, text.len);
	return str_slice(text, from, at);
}

static struct str trim_commas(struct str s)
{
	while (s.len > 0 && s.at[0] == ',')
		s = str_slice(s, 1, s.len);
	while (s.len > 0 && s.at[s.len - 1] == ',')
		s = str_slice(s, 0, s.len - 1);
	return s;
}

/* One quote alone is one too, of nothing. */
static bool is_phrase(struct str s)
{
	return s.len >= 1 && (s.at[0] == '"' || s.at[0] == '\'') && s.at[s.len - 1] == s.at[0];
}

/* The phrase without its quotes and backslashes. */
static struct str unquote(struct arena *arena, struct str s)
{
	_cleanup_(buf_fini) struct buf plain = BUF_INIT;
	char quote = s.at[0];

	s = s.len < 2 ? STR("") : str_slice(s, 1, s.len - 1);
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '\\' && i + 1 < s.len &&
		    (s.at[i + 1] == quote || s.at[i + 1] == '\\'))
			i++;
		buf_add_byte(&plain, s.at[i]);
	}
	return arena_str(arena, buf_str(&plain));
}

size_t search_terms(struct arena *arena, struct str text, struct str *ret, size_t most)
{
	size_t count = 0;

	while (count < most) {
		struct str piece = next_piece(&text), part;

		if (piece.len == 0)
			break;
		piece = trim_commas(piece);
		if (is_phrase(piece)) {
			piece = unquote(arena, piece);
			if (piece.len > 0)
				ret[count++] = piece;
			continue;
		}
		while (count < most && str_cut(&piece, ',', &part)) {
			part = python_strip(part);
			if (part.len > 0)
				ret[count++] = part;
		}
	}
	return count;
}
