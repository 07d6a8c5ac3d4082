/*
 * conninfo.h - a connection url as libpq wants it, its names looked up by us.
 *
 * libpq resolves host names itself, blocking.  So the hosts of the url are taken apart here; a
 * caller that connects looks each name up (uv_getaddrinfo) and hands the addresses back, which
 * become libpq's `hostaddr` beside the `host` that certificates and password files are matched
 * with.
 */
#ifndef DB_CONNINFO_H
#define DB_CONNINFO_H

#include <netdb.h>

#include "base/arena.h"

struct db_host {
	const char *name; /* a name, a number, or the folder of a unix socket */
	const char *port; /* "" for the usual one */
	bool is_name;     /* must be looked up */
};

struct db_conninfo {
	const char **keywords, **values; /* without hosts; NULL-terminated */
	size_t count;
	struct db_host *hosts;
	size_t host_count; /* 0: libpq's own default, a unix socket */
	bool has_hostaddr; /* the url has the addresses: nothing is looked up */
};

/* 0 or -E_BAD_SETTING with the reason.  Everything lies in the arena. */
int db_conninfo_parse(struct arena *, const char *url, const char *application,
		      struct db_conninfo *ret) _must_check_;

/* The addresses of one attempt to connect, gathered host by host. */
struct db_addresses {
	struct arena *arena;
	const char **names, **numbers, **ports;
	size_t count;
};

#define DB_ADDRESSES_MOST 64

void db_addresses_init(struct db_addresses *, struct arena *);
/* `found` NULL: the host needs no looking up. */
void db_addresses_add(struct db_addresses *, const struct db_host *, const struct addrinfo *found);

/*
 * The arrays for PQconnectStartParams, in the arena of the addresses.  The list begins with another
 * address at each `turn`: an attempt that hangs at one does not hang there for ever.
 */
void db_conninfo_params(const struct db_conninfo *, const struct db_addresses *, unsigned turn,
			const char *const **ret_keywords, const char *const **ret_values);

#endif
