/*
 * url.c - what Django's URLValidator takes: http, https, ftp or ftps; a host name with a top-level
 * domain of two letters or more, "localhost", or an address; nothing with white space.
 */
#include <arpa/inet.h>

#include "base/codec.h"
#include "resource/coerce.h"

#define URL_MOST  2048 /* characters */
#define HOST_MOST 253
#define PORT_MOST 5

static bool has_space(struct str s)
{
	while (s.len > 0) {
		struct str before = s;

		(void) utf8_next(&s);
		if (python_strip(str_slice(before, 0, before.len - s.len)).len == 0)
			return true;
	}
	return false;
}

static bool is_scheme(struct str s)
{
	static const char *const schemes[] = { "http", "https", "ftp", "ftps" };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (str_eq_nocase(s, str_c(schemes[i])))
			return true;
	}
	return false;
}

/* "user" or "user:password", neither with a colon in it; the user not empty. */
static bool is_user(struct str s)
{
	struct str user;

	return str_find_char(s, '@') < 0 && str_cut(&s, ':', &user) && user.len > 0 &&
	       (str_is_null(s) || str_find_char(s, ':') < 0);
}

static bool is_port(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
	}
	return s.len > 0 && s.len <= PORT_MOST;
}

/* Letters and hyphens, or the form of another script's name. */
static bool is_top_level(struct str s)
{
	bool is_punycode = s.len > 4 && str_eq_nocase(str_slice(s, 0, 4), STR("xn--"));

	for (size_t i = 0; i < s.len && !is_punycode; i++) {
		if (s.at[i] >= '0' && s.at[i] <= '9')
			return false;
	}
	return s.len >= 2 && is_host_label(s);
}

static bool is_address(int family, struct str s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (s.len >= sizeof(text))
		return false;
	memcpy(text, s.at, s.len);
	text[s.len] = '\0';
	return inet_pton(family, text, &address) == 1;
}

static bool is_host(struct str s)
{
	struct str label = STR_NULL;
	size_t labels = 0;

	if (s.len == 0 || s.len > HOST_MOST)
		return false;
	if (str_eq_nocase(s, STR("localhost")) || is_address(AF_INET, s))
		return true;
	if (s.at[s.len - 1] == '.')
		s = str_slice(s, 0, s.len - 1);
	while (str_cut(&s, '.', &label)) {
		if (!is_host_label(label))
			return false;
		labels++;
	}
	return labels >= 2 && is_top_level(label);
}

/* "host", "host:80", "[::1]:80" */
static bool is_place(struct str s)
{
	ptrdiff_t end = str_find_char(s, ']');
	struct str host = s, port = STR_NULL;

	if (s.len > 0 && s.at[0] == '[') {
		if (end < 0 || !is_address(AF_INET6, str_slice(s, 1, (size_t) end)))
			return false;
		port = str_slice(s, (size_t) end + 1, s.len);
		return port.len == 0 ||
		       (port.at[0] == ':' && is_port(str_slice(port, 1, port.len)));
	}
	port = s;
	str_cut(&port, ':', &host);
	return is_host(host) && (str_is_null(port) || is_port(port));
}

bool is_url(struct str s)
{
	struct str scheme, place, rest = s;
	ptrdiff_t at;
	size_t end = 0;

	if (utf8_length(s) > URL_MOST || has_space(s) || !str_cut(&rest, ':', &scheme) ||
	    !is_scheme(scheme) || !str_starts(rest, STR("//")))
		return false;
	rest = str_slice(rest, 2, rest.len);
	while (end < rest.len && strchr("/?#", rest.at[end]) == NULL)
		end++;
	place = str_slice(rest, 0, end);
	at = str_find_char(place, '@');
	if (at < 0)
		return is_place(place);
	return is_user(str_slice(place, 0, (size_t) at)) &&
	       is_place(str_slice(place, (size_t) at + 1, place.len));
}
