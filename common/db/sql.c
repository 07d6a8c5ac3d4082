#include "db/sql.h"

#include <ctype.h>

static bool is_name_char(char c)
{
	return isalnum((unsigned char) c) || c == '_' || (c & 0x80);
}

/* Each returns how many characters at the beginning of `s` belong together; at least one. */

static size_t skip_line_comment(struct str s)
{
	ptrdiff_t end = str_find_char(s, '\n');

	return end < 0 ? s.len : (size_t) end + 1;
}

static size_t skip_block_comment(struct str s)
{
	size_t depth = 0, i = 0;

	while (i + 1 < s.len) {
		if (s.at[i] == '/' && s.at[i + 1] == '*') {
			depth++;
			i += 2;
		} else if (s.at[i] == '*' && s.at[i + 1] == '/') {
			i += 2;
			if (--depth == 0)
				return i;
		} else {
			i++;
		}
	}
	return s.len;
}

static size_t skip_quoted(struct str s, bool has_escapes)
{
	char quote = s.at[0];

	for (size_t i = 1; i < s.len; i++) {
		if (has_escapes && s.at[i] == '\\')
			i++;
		else if (s.at[i] == quote)
			return i + 1; /* a doubled quote begins the next piece at once */
	}
	return s.len;
}

/* $tag$ … $tag$; a lone $ (a parameter) is itself. */
static size_t skip_dollar(struct str s)
{
	size_t tag = 1;
	ptrdiff_t end;

	while (tag < s.len && is_name_char(s.at[tag]))
		tag++;
	if (tag == s.len || s.at[tag] != '$' || (tag > 1 && isdigit((unsigned char) s.at[1])))
		return 1;
	tag++;
	end = str_find(str_slice(s, tag, s.len), str_slice(s, 0, tag));
	return end < 0 ? s.len : tag + (size_t) end + tag;
}

static size_t skip_name(struct str s)
{
	size_t i = 1;

	/* A dollar inside of a name begins no quote. */
	while (i < s.len && (is_name_char(s.at[i]) || s.at[i] == '$'))
		i++;
	if (i == 1 && i < s.len && (s.at[0] == 'e' || s.at[0] == 'E') && s.at[1] == '\'')
		return 1 + skip_quoted(str_slice(s, 1, s.len), true);
	return i;
}

static bool starts_comment(struct str s)
{
	return str_starts(s, STR("--")) || str_starts(s, STR("/*"));
}

static size_t skip_piece(struct str s)
{
	if (str_starts(s, STR("--")))
		return skip_line_comment(s);
	if (str_starts(s, STR("/*")))
		return skip_block_comment(s);
	if (s.at[0] == '\'' || s.at[0] == '"')
		return skip_quoted(s, false);
	if (s.at[0] == '$')
		return skip_dollar(s);
	if (is_name_char(s.at[0]))
		return skip_name(s);
	return 1;
}

bool db_sql_next(struct str *rest, struct str *ret_statement)
{
	struct str s = *rest;
	size_t i = 0, start = s.len;

	while (i < s.len) {
		struct str left = str_slice(s, i, s.len);

		if (left.at[0] == ';') {
			if (start < i) {
				*ret_statement = str_slice(s, start, i);
				*rest = str_slice(s, i + 1, s.len);
				return true;
			}
		} else if (start == s.len && !starts_comment(left) &&
			   !isspace((unsigned char) left.at[0])) {
			start = i;
		}
		i += skip_piece(left);
	}
	*rest = str_slice(s, s.len, s.len);
	if (start == s.len)
		return false;
	*ret_statement = str_trim(str_slice(s, start, s.len));
	return true;
}
