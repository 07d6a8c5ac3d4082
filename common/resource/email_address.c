/*
 * email_address.c - what Django's EmailValidator takes: a dot-atom or quoted local part, a host
 * name with a top-level domain of two letters or more, "localhost", or an address in brackets.
 */
#include <arpa/inet.h>

#include "resource/coerce.h"

#define ADDRESS_MOST 320
#define LABEL_MOST   63

static bool is_alphanumeric(unsigned char c)
{
	/* Every byte of a character beyond ASCII counts as a letter, as U+00A1..U+FFFF do there. */
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c >= 0x80;
}

static bool is_atom(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char) s.at[i];

		if (c >= 0x80 ||
		    (!is_alphanumeric(c) && (c == 0 || strchr("-!#$%&'*+/=?^_`{}|~", c) == NULL)))
			return false;
	}
	return s.len > 0;
}

/* "…" with visible ASCII inside; quotes and backslashes escaped. */
static bool is_quoted(struct str s)
{
	if (s.len < 2 || s.at[0] != '"' || s.at[s.len - 1] != '"')
		return false;
	for (size_t i = 1; i + 1 < s.len; i++) {
		unsigned char c = (unsigned char) s.at[i];

		if (c == '\\') {
			if (++i + 1 >= s.len)
				return false;
		} else if (c == '"' || c <= 0x20 || c >= 0x7f) {
			return false;
		}
	}
	return true;
}

static bool is_local_part(struct str s)
{
	struct str atom;

	if (is_quoted(s))
		return true;
	while (str_cut(&s, '.', &atom)) {
		if (!is_atom(atom))
			return false;
	}
	return true;
}

bool is_host_label(struct str s)
{
	if (s.len == 0 || s.len > LABEL_MOST || s.at[0] == '-' || s.at[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] != '-' && !is_alphanumeric((unsigned char) s.at[i]))
			return false;
	}
	return true;
}

static bool is_top_level(struct str s)
{
	bool has_letter = false;

	for (size_t i = 0; i < s.len; i++)
		has_letter = has_letter || s.at[i] < '0' || s.at[i] > '9';
	return is_host_label(s) && s.len >= 2 && has_letter;
}

static bool is_bracketed_ip(struct str s)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[sizeof(struct in6_addr)];

	if (s.len < 4 || s.at[0] != '[' || s.at[s.len - 1] != ']' || s.len - 2 >= sizeof(text))
		return false;
	memcpy(text, s.at + 1, s.len - 2);
	text[s.len - 2] = '\0';
	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool is_domain(struct str s)
{
	struct str label = STR_NULL;
	size_t labels = 0;

	if (str_eq_nocase(s, STR("localhost")) || is_bracketed_ip(s))
		return true;
	while (str_cut(&s, '.', &label)) {
		if (!is_host_label(label))
			return false;
		labels++;
	}
	return labels >= 2 && is_top_level(label);
}

bool is_email_address(struct str s)
{
	size_t at = s.len;

	if (s.len == 0 || s.len > ADDRESS_MOST)
		return false;
	while (at > 0 && s.at[at - 1] != '@')
		at--;
	return at > 1 && is_local_part(str_slice(s, 0, at - 1)) &&
	       is_domain(str_slice(s, at, s.len));
}
