/*
 * slug.c - Django's slugify and a slug that no other row has.
 *
 * Only what slugify(allow_unicode=False) does after NFKD and dropping what is not ASCII; of NFKD
 * the letters of Latin-1 and Latin Extended-A with a base letter are known here, everything else
 * beyond ASCII is dropped as there.
 */
#include <assert.h>

#include "base/codec.h"
#include "resource/resource.h"

/* U+00C0..U+017F: the ASCII letter left of each after decomposition, ' ' where none is. */
static const char latin_bases[] =
	"AAAAAA CEEEEIIII NOOOOO  UUUUY  aaaaaa ceeeeiiii nooooo  uuuuy y"
	"AaAaAaCcCcCcCcDd  EeEeEeEeEeGgGgGgGgHh  IiIiIiIiI   JjKk LlLlLlL"
	"l  NnNnNnn  OoOoOo  RrRrRrSsSsSsSsTtTt  UuUuUuUuUuUuWwYyYZzZzZzs";
#define LATIN_FIRST 0xc0
static_assert(sizeof(latin_bases) - 1 == 0x180 - LATIN_FIRST, "one letter per code point");

static char ascii_of(uint32_t c)
{
	if (c < 0x80)
		return (char) c;
	if (c < LATIN_FIRST || c >= 0x180)
		return c == 0xa0 ? ' ' : '\0';
	char base = latin_bases[c - LATIN_FIRST];
	return base == ' ' ? '\0' : base;
}

struct str slugify(struct arena *arena, struct str text)
{
	char *slug = arena_alloc(arena, text.len + 1);
	size_t len = 0;

	while (text.len > 0) {
		char c = ascii_of(utf8_next(&text));

		if (c >= 'A' && c <= 'Z')
			c = (char) (c + ('a' - 'A'));
		bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
		bool is_gap = c == '-' || c == ' ' || (c >= '\t' && c <= '\r') ||
			      (c >= 0x1c && c <= 0x1f);
		if (is_word)
			slug[len++] = c;
		else if (is_gap && (len == 0 || slug[len - 1] != '-'))
			slug[len++] = '-';
	}
	size_t from = 0;
	while (from < len && (slug[from] == '-' || slug[from] == '_'))
		from++;
	while (len > from && (slug[len - 1] == '-' || slug[len - 1] == '_'))
		len--;
	return str_make(slug + from, len - from);
}

static struct str strip_hyphens(struct str s)
{
	while (s.len > 0 && s.at[s.len - 1] == '-')
		s.len--;
	return s;
}

int slug_make(struct db_tx *tx, struct arena *arena, const char *table, const char *condition,
	      struct str text, const char *fallback, size_t most, struct str *ret)
{
	const struct db_statement is_taken = {
		.sql = arena_printf(arena, "SELECT 1 FROM %s WHERE slug = $1 AND %s", table,
				    condition),
		.is_varying = true,
	};
	struct str base = strip_hyphens(str_slice(slugify(arena, text), 0, most));
	struct db_rows rows;
	int r;

	if (base.len == 0)
		base = str_c(fallback);
	struct str slug = base;
	for (unsigned n = 2;; n++) {
		r = db_tx_query(tx, arena, &is_taken, DB_VALUES(slug), &rows);
		if (r < 0)
			return r;
		if (rows.count == 0)
			break;
		struct str number = arena_printf(arena, "-%u", n);
		slug = arena_printf(arena, "%.*s%.*s",
				    STR_ARG(str_slice(base, 0, most - number.len)),
				    STR_ARG(number));
	}
	*ret = slug;
	return 0;
}
