#include "http/media_type.h"

struct media_type media_type_parse(struct str text)
{
	struct media_type m = { .parameters = text };
	struct str full = STR("");

	str_cut(&m.parameters, ';', &full);
	full = str_trim(full);
	str_cut(&full, '/', &m.main);
	m.sub = str_is_null(full) ? STR("") : full;
	return m;
}

static bool half_matches(struct str a, struct str b)
{
	return str_eq(a, STR("*")) || str_eq(b, STR("*")) || str_eq_nocase(a, b);
}

bool media_type_matches(struct str offered, const struct media_type *asked)
{
	struct media_type o = media_type_parse(offered);

	return half_matches(o.main, asked->main) && half_matches(o.sub, asked->sub);
}

/* A cheap look: is there a name that is not q? */
static bool has_parameter(struct str parameters)
{
	struct str piece, name;

	while (str_cut(&parameters, ';', &piece)) {
		if (!str_cut(&piece, '=', &name) || str_is_null(piece))
			continue;
		if (!str_eq_nocase(str_trim(name), STR("q")))
			return true;
	}
	return false;
}

int media_type_precedence(const struct media_type *m)
{
	if (str_eq(m->main, STR("*")))
		return 0;
	if (str_eq(m->sub, STR("*")))
		return 1;
	return has_parameter(m->parameters) ? 3 : 2;
}

/* Cuts at the first ';' that stands outside of quotes. */
static bool cut_parameter(struct str *rest, struct str *ret_piece)
{
	bool in_quotes = false;

	if (str_is_null(*rest))
		return false;
	for (size_t i = 0; i < rest->len; i++) {
		char c = rest->at[i];

		if (c == '\\' && in_quotes) {
			i++;
		} else if (c == '"') {
			in_quotes = !in_quotes;
		} else if (c == ';' && !in_quotes) {
			*ret_piece = str_slice(*rest, 0, i);
			*rest = str_slice(*rest, i + 1, rest->len);
			return true;
		}
	}
	*ret_piece = *rest;
	*rest = STR_NULL;
	return true;
}

static struct str unquote(struct arena *a, struct str s)
{
	char *to, *out;

	if (s.len < 2 || s.at[0] != '"' || s.at[s.len - 1] != '"')
		return s;
	s = str_slice(s, 1, s.len - 1);
	if (str_find_char(s, '\\') < 0)
		return s;
	to = out = arena_alloc(a, s.len);
	for (size_t i = 0; i < s.len; i++) {
		/* Only these two are escapes: browsers send "C:\file" unescaped. */
		if (s.at[i] == '\\' && i + 1 < s.len && (s.at[i + 1] == '\\' || s.at[i + 1] == '"'))
			i++;
		*out++ = s.at[i];
	}
	return str_make(to, (size_t) (out - to));
}

bool parameter_next(struct arena *a, struct str *rest, struct str *ret_name, struct str *ret_value)
{
	struct str piece, name;

	while (cut_parameter(rest, &piece)) {
		str_cut(&piece, '=', &name);
		if (str_is_null(piece))
			continue;
		*ret_name = str_trim(name);
		*ret_value = unquote(a, str_trim(piece));
		return true;
	}
	return false;
}

struct str parameter_find(struct arena *a, struct str parameters, struct str name)
{
	struct str n, value, found = STR_NULL;

	while (parameter_next(a, &parameters, &n, &value))
		if (str_eq_nocase(n, name))
			found = value;
	return found;
}
