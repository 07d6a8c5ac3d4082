#include "auth/password_rules.h"

#include "base/codec.h"

#define PASSWORD_LEAST 8

static bool is_only_digits(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
	}
	return s.len > 0;
}

size_t password_rules_broken(struct str password, struct str ret_sentences[PASSWORD_RULES])
{
	size_t count = 0;

	if (utf8_length(password) < PASSWORD_LEAST)
		ret_sentences[count++] = STR(
			"This password is too short. It must contain at least 8 "
			"characters.");
	if (is_only_digits(password))
		ret_sentences[count++] = STR("This password is entirely numeric.");
	return count;
}
