#include "auth/password_rules.h"

#include "base/buf.h"
#include "base/codec.h"

#define PASSWORD_LEAST 8
/* Bytes of the longest line of the list, and more: what is longer is not common. */
#define COMMON_MOST    128

/* Sorted lines, each with its line feed; made by data/embed.py. */
extern const char common_passwords[];
extern const size_t common_passwords_size;

static bool is_only_digits(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
	}
	return s.len > 0;
}

/* Halves the list, moving from any byte to the start of its line. */
static bool is_listed(struct str word)
{
	const struct str list = str_make(common_passwords, common_passwords_size);
	size_t from = 0, to = list.len;

	while (from < to) {
		size_t start = from + (to - from) / 2;
		while (start > from && list.at[start - 1] != '\n')
			start--;
		struct str rest = str_slice(list, start, to), line;
		must(str_cut(&rest, '\n', &line));
		int order = str_cmp(word, line);
		if (order == 0)
			return true;
		if (order < 0)
			to = start;
		else
			from = start + line.len + 1;
	}
	return false;
}

/* Capitals of ASCII and of Cyrillic, the only other letters of the list. */
static uint32_t lower(uint32_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c + ('a' - 'A');
	if (c >= 0x410 && c <= 0x42f)
		return c + 0x20;
	if (c >= 0x400 && c <= 0x40f)
		return c + 0x50;
	return c;
}

static bool is_common(struct str password)
{
	_cleanup_(buf_fini) struct buf word = BUF_INIT;
	struct str rest = str_trim(password);

	while (rest.len > 0 && word.len <= COMMON_MOST)
		utf8_add(&word, lower(utf8_next(&rest)));
	return word.len > 0 && word.len <= COMMON_MOST && is_listed(buf_str(&word));
}

size_t password_rules_broken(struct str password, struct str ret_sentences[PASSWORD_RULES])
{
	size_t count = 0;

	if (utf8_length(password) < PASSWORD_LEAST)
		ret_sentences[count++] = STR(
			"This password is too short. It must contain at least 8 "
			"characters.");
	if (is_common(password))
		ret_sentences[count++] = STR("This password is too common.");
	if (is_only_digits(password))
		ret_sentences[count++] = STR("This password is entirely numeric.");
	return count;
}
