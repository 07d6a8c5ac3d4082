#include "redis/redis.h"

#include <sys/un.h>

#include "base/codec.h"
#include "base/error.h"

/*
 * The grammar is the one that Python's redis client reads, so that one REDIS_URL serves both:
 * scheme://[user[:password]@]host[:port][/database][?db=…&username=…&password=…], and for unix:// a
 * path in the place of host and database.  The reasons never quote the url: it holds the password.
 */

#define USUAL_PORT 6379

static int set_database(struct redis_address *a, struct str text)
{
	uint64_t n;

	if (text.len == 0)
		return 0;
	if (str_to_u64(text, &n) < 0 || n > INT32_MAX)
		return fail(-E_BAD_SETTING, "redis url: the database is a number, not \"%.*s\"",
			    STR_ARG(text));
	a->database = (int) n;
	return 0;
}

static int set_port(struct redis_address *a, struct str text)
{
	uint64_t n;

	if (str_to_u64(text, &n) < 0 || n == 0 || n > UINT16_MAX)
		return fail(-E_BAD_SETTING,
			    "redis url: the port is between 1 and 65535, not \"%.*s\"",
			    STR_ARG(text));
	a->port = (int) n;
	return 0;
}

static const char *decoded(struct arena *arena, struct str text)
{
	return text.len == 0 ? NULL : arena_c(arena, percent_decode(arena, text, false));
}

static int set_option(struct arena *arena, struct redis_address *a, struct str key,
		      struct str value)
{
	if (str_eq_c(key, "db"))
		return set_database(a, value);
	if (str_eq_c(key, "password"))
		a->password = decoded(arena, value);
	else if (str_eq_c(key, "user") || str_eq_c(key, "username"))
		a->user = decoded(arena, value);
	else
		return fail(-E_BAD_SETTING,
			    "redis url: unknown option \"%.*s\"; db, user and password are known",
			    STR_ARG(key));
	return 0;
}

static int set_options(struct arena *arena, struct redis_address *a, struct str query)
{
	struct str item, key;
	int r;

	while (str_cut(&query, '&', &item)) {
		if (item.len == 0)
			continue;
		str_cut(&item, '=', &key);
		r = set_option(arena, a, key, item);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "[user[:password]@]": everything up to the last @, because a careless password may hold one. */
static void take_credentials(struct arena *arena, struct redis_address *a, struct str *authority)
{
	struct str user, password;
	size_t at = authority->len;

	while (at > 0 && authority->at[at - 1] != '@')
		at--;
	if (at == 0)
		return;
	password = str_slice(*authority, 0, at - 1);
	*authority = str_slice(*authority, at, authority->len);
	str_cut(&password, ':', &user);
	a->user = decoded(arena, user);
	a->password = decoded(arena, password);
}

static int take_host(struct arena *arena, struct redis_address *a, struct str authority)
{
	struct str host = authority, port = STR_NULL;
	ptrdiff_t end;

	if (str_starts(authority, STR("["))) {
		end = str_find_char(authority, ']');
		if (end < 0)
			return fail(-E_BAD_SETTING,
				    "redis url: an address in brackets must end with ]");
		host = str_slice(authority, 1, (size_t) end);
		port = str_slice(authority, (size_t) end + 1, authority.len);
		if (port.len > 0 && port.at[0] != ':')
			return fail(-E_BAD_SETTING, "redis url: only :port may follow ]");
		port = port.len == 0 ? STR_NULL : str_slice(port, 1, port.len);
	} else {
		port = authority;
		str_cut(&port, ':', &host);
	}
	a->host = host.len == 0 ? "localhost" : decoded(arena, host);
	return str_is_null(port) ? 0 : set_port(a, port);
}

static int parse_tcp(struct arena *arena, struct redis_address *a, struct str rest)
{
	struct str authority, path = rest;
	int r;

	a->port = USUAL_PORT;
	str_cut(&path, '/', &authority);
	take_credentials(arena, a, &authority);
	r = take_host(arena, a, authority);
	if (r < 0)
		return r;
	return set_database(a, path);
}

static int parse_unix(struct arena *arena, struct redis_address *a, struct str rest)
{
	ptrdiff_t slash = str_find_char(rest, '/');
	struct str authority;

	if (slash < 0)
		return fail(-E_BAD_SETTING, "redis url: unix:// is followed by an absolute path");
	authority = str_slice(rest, 0, (size_t) slash);
	take_credentials(arena, a, &authority);
	if (authority.len > 0)
		return fail(-E_BAD_SETTING,
			    "redis url: unix:///path has three slashes and no host");
	a->path = decoded(arena, str_slice(rest, (size_t) slash, rest.len));
	if (strlen(a->path) >= sizeof(((struct sockaddr_un *) NULL)->sun_path))
		return fail(-E_BAD_SETTING, "redis url: the socket's path is too long: %s",
			    a->path);
	return 0;
}

int redis_address_parse(struct arena *arena, const char *url, struct redis_address *ret)
{
	struct redis_address a = { 0 };
	struct str rest = arena_str(arena, str_c(url)), query, main;
	int r;

	query = rest;
	str_cut(&query, '?', &main);
	if (str_starts(main, STR("redis://"))) {
		r = parse_tcp(arena, &a, str_slice(main, strlen("redis://"), main.len));
	} else if (str_starts(main, STR("rediss://"))) {
		a.is_tls = true;
		r = parse_tcp(arena, &a, str_slice(main, strlen("rediss://"), main.len));
	} else if (str_starts(main, STR("unix://"))) {
		r = parse_unix(arena, &a, str_slice(main, strlen("unix://"), main.len));
	} else {
		r = fail(-E_BAD_SETTING, "redis url: it begins with redis:// or unix://");
	}
	if (r >= 0)
		r = set_options(arena, &a, query);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}
