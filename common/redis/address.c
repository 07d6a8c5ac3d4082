#include "redis/redis.h"

#include <stdio.h>
#include <strings.h>
#include <sys/un.h>

#include "base/codec.h"
#include "base/error.h"

/*
 * The grammar is the one that Python's redis client reads, so that one REDIS_URL serves both:
 * scheme://[user[:password]@]host[:port][/database][?db=…&username=…&password=…], and for unix:// a
 * path in the place of host and database.  The reasons never quote the url: it holds the password.
 */

#define USUAL_PORT          6379
#define USUAL_SENTINEL_PORT 26379
/* Of a host's name: more is none, and TLS takes no more. */
#define MOST_NAME           253

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

static int read_port(struct str text, int *ret)
{
	uint64_t n;

	if (str_to_u64(text, &n) < 0 || n == 0 || n > UINT16_MAX)
		return fail(-E_BAD_SETTING,
			    "redis url: the port is between 1 and 65535, not \"%.*s\"",
			    STR_ARG(text));
	*ret = (int) n;
	return 0;
}

static const char *decoded(struct arena *arena, struct str text)
{
	return text.len == 0 ? NULL : arena_c(arena, percent_decode(arena, text, false));
}

static int set_check(struct str key, struct str value, const char *yes, const char *no,
		     bool *ret_is_off)
{
	char word[24];

	snprintf(word, sizeof(word), "%.*s", STR_ARG(value));
	if (strcasecmp(word, yes) != 0 && strcasecmp(word, no) != 0)
		return fail(-E_BAD_SETTING, "redis url: %.*s is %s or %s, not \"%s\"", STR_ARG(key),
			    yes, no, word);
	*ret_is_off = strcasecmp(word, no) == 0;
	return 0;
}

static int set_option(struct arena *arena, struct redis_address *a, struct str key,
		      struct str value)
{
	const struct {
		const char *name;
		const char **at;
	} texts[] = {
		{ "password", &a->password },
		{ "user", &a->user },
		{ "username", &a->user },
		{ "ssl_ca_certs", &a->tls.authorities },
		{ "ssl_certfile", &a->tls.certificate },
		{ "ssl_keyfile", &a->tls.key },
		{ "ssl_server_name", &a->tls.server_name },
		{ "sentinel_username", &a->sentinel_user },
		{ "sentinel_password", &a->sentinel_password },
	};

	if (str_eq_c(key, "db"))
		return set_database(a, value);
	/* kombu writes CERT_REQUIRED and CERT_NONE. */
	if (str_eq_c(key, "ssl_cert_reqs"))
		return set_check(key,
				 str_starts(value, STR("CERT_"))
					 ? str_slice(value, strlen("CERT_"), value.len)
					 : value,
				 "required", "none", &a->tls.is_unchecked);
	if (str_eq_c(key, "ssl_check_hostname"))
		return set_check(key, value, "true", "false", &a->tls.is_name_unchecked);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (!str_eq_c(key, texts[i].name))
			continue;
		*texts[i].at = decoded(arena, value);
		return 0;
	}
	return fail(-E_BAD_SETTING,
		    "redis url: unknown option \"%.*s\"; redis/redis.h lists those that are known",
		    STR_ARG(key));
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

/* "host[:port]"; *port stays as it is when none is given. */
static int take_host(struct arena *arena, struct str authority, const char **ret_host, int *port)
{
	struct str host = authority, digits = STR_NULL;
	ptrdiff_t end;

	if (str_starts(authority, STR("["))) {
		end = str_find_char(authority, ']');
		if (end < 0)
			return fail(-E_BAD_SETTING,
				    "redis url: an address in brackets must end with ]");
		host = str_slice(authority, 1, (size_t) end);
		digits = str_slice(authority, (size_t) end + 1, authority.len);
		if (digits.len > 0 && digits.at[0] != ':')
			return fail(-E_BAD_SETTING, "redis url: only :port may follow ]");
		digits = digits.len == 0 ? STR_NULL : str_slice(digits, 1, digits.len);
	} else {
		digits = authority;
		str_cut(&digits, ':', &host);
	}
	if (host.len > MOST_NAME)
		return fail(-E_BAD_SETTING, "redis url: the host's name is too long");
	*ret_host = host.len == 0 ? "localhost" : decoded(arena, host);
	return str_is_null(digits) ? 0 : read_port(digits, port);
}

static int parse_tcp(struct arena *arena, struct redis_address *a, struct str rest)
{
	struct str authority, path = rest;
	int r;

	a->port = USUAL_PORT;
	str_cut(&path, '/', &authority);
	take_credentials(arena, a, &authority);
	r = take_host(arena, authority, &a->host, &a->port);
	if (r < 0)
		return r;
	return set_database(a, path);
}

static int parse_sentinel(struct arena *arena, struct redis_address *a, struct str rest)
{
	struct str authority, one, name = STR(""), path = rest;
	int r = 0;

	str_cut(&path, '/', &authority);
	take_credentials(arena, a, &authority);
	while (r == 0 && str_cut(&authority, ',', &one)) {
		struct redis_sentinel *s;

		if (a->sentinel_count == REDIS_SENTINELS_MOST)
			return fail(-E_BAD_SETTING, "redis url: more than %d Sentinels",
				    REDIS_SENTINELS_MOST);
		s = &a->sentinels[a->sentinel_count];
		s->port = USUAL_SENTINEL_PORT;
		r = take_host(arena, one, &s->host, &s->port);
		a->sentinel_count++;
	}
	(void) str_cut(&path, '/', &name); /* absent: no name */
	if (r == 0 && name.len == 0)
		r = fail(-E_BAD_SETTING,
			 "redis url: redis+sentinel://host/name ends with the master's name");
	a->master = decoded(arena, name);
	return r < 0 ? r : set_database(a, path);
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
	static const struct {
		struct str scheme;
		int (*parse)(struct arena *, struct redis_address *, struct str rest);
		bool is_tls;
	} schemes[] = {
		{ STR_INIT("redis://"), parse_tcp, false },
		{ STR_INIT("rediss://"), parse_tcp, true },
		{ STR_INIT("unix://"), parse_unix, false },
		{ STR_INIT("redis+sentinel://"), parse_sentinel, false },
		{ STR_INIT("rediss+sentinel://"), parse_sentinel, true },
	};
	struct redis_address a = { 0 };
	struct str query = arena_str(arena, str_c(url)), main;
	int r = -E_BAD_SETTING;

	str_cut(&query, '?', &main);
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (!str_starts(main, schemes[i].scheme))
			continue;
		a.is_tls = schemes[i].is_tls;
		r = schemes[i].parse(arena, &a, str_slice(main, schemes[i].scheme.len, main.len));
		if (r == 0)
			r = set_options(arena, &a, query);
		if (r < 0)
			return r;
		*ret = a;
		return 0;
	}
	return fail(r,
		    "redis url: it begins with redis://, rediss://, unix:// or redis+sentinel://");
}
