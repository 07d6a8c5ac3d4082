#include "db/conninfo.h"

#include <libpq-fe.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * What a session of ours has unless the url says otherwise.  gssencmode: Kerberos would look names
 * up and block.  The rest notices a peer that vanished without a word.
 */
static const struct {
	const char *keyword, *value;
} usual[] = {
	{ "gssencmode", "disable" },     { "keepalives_idle", "10" },
	{ "keepalives_interval", "3" },  { "keepalives_count", "3" },
	{ "tcp_user_timeout", "10000" },
};

static void add(struct db_conninfo *c, const char *keyword, const char *value)
{
	c->keywords[c->count] = keyword;
	c->values[c->count] = value;
	c->count++;
}

static const char *find(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val != NULL && options->val[0] != '\0' ? options->val
									       : NULL;
	return NULL;
}

static bool is_number(const char *host)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST }, *found;

	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return false;
	freeaddrinfo(found);
	return true;
}

/* Lists of hosts and ports go together; one port serves all. */
static int take_hosts(struct arena *arena, struct db_conninfo *c, const char *host,
		      const char *port)
{
	struct str hosts = str_c(host), ports = str_c(port == NULL ? "" : port), name,
		   number = STR_NULL;
	size_t count = 1;

	for (const char *p = host; *p != '\0'; p++)
		count += *p == ',';
	c->hosts = arena_array(arena, struct db_host, count);
	while (str_cut(&hosts, ',', &name)) {
		struct db_host *h = &c->hosts[c->host_count++];

		if (!str_is_null(ports))
			str_cut(&ports, ',', &number);
		h->name = arena_c(arena, name);
		h->port = arena_c(arena, number);
		h->is_name = name.len > 0 && name.at[0] != '/' && name.at[0] != '@' &&
			     !is_number(h->name);
	}
	if (c->host_count > DB_ADDRESSES_MOST)
		return fail(-E_BAD_SETTING, "database url: more than %d hosts", DB_ADDRESSES_MOST);
	return 0;
}

static int take_options(struct arena *arena, const PQconninfoOption *options, struct db_conninfo *c)
{
	const char *host = find(options, "host"), *port = find(options, "port");

	c->has_hostaddr = find(options, "hostaddr") != NULL;
	if (find(options, "service") != NULL)
		return fail(-E_BAD_SETTING, "database url: service files are not read");
	for (; options->keyword != NULL; options++) {
		bool is_of_hosts = strcmp(options->keyword, "host") == 0 ||
				   strcmp(options->keyword, "port") == 0;

		if (options->val == NULL || (is_of_hosts && !c->has_hostaddr))
			continue;
		add(c, arena_c(arena, str_c(options->keyword)),
		    arena_c(arena, str_c(options->val)));
	}
	if (c->has_hostaddr)
		return 0;
	if (host == NULL && getenv("PGHOST") != NULL && getenv("PGHOST")[0] != '\0')
		host = getenv("PGHOST"); /* as libpq does, but with our look-up */
	if (host != NULL)
		return take_hosts(arena, c, host, port);
	if (port != NULL)
		add(c, "port", arena_c(arena, str_c(port)));
	return 0;
}

int db_conninfo_parse(struct arena *arena, const char *url, const char *application,
		      struct db_conninfo *ret)
{
	struct db_conninfo c = { 0 };
	PQconninfoOption *options;
	char *why = NULL;
	size_t known = 0;
	int r;

	options = PQconninfoParse(url, &why);
	if (options == NULL) {
		r = fail(-E_BAD_SETTING, "database url: %.*s",
			 (int) strcspn(why == NULL ? "" : why, "\n"), why == NULL ? "" : why);
		PQfreemem(why);
		return r;
	}
	while (options[known].keyword != NULL)
		known++;
	known += ARRAY_SIZE(usual) + 3; /* + application_name, client_encoding and the end */
	c.keywords = arena_array(arena, const char *, known);
	c.values = arena_array(arena, const char *, known);
	r = take_options(arena, options, &c);
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (find(options, usual[i].keyword) == NULL)
			add(&c, usual[i].keyword, usual[i].value);
	if (application != NULL && find(options, "application_name") == NULL)
		add(&c, "application_name", arena_c(arena, str_c(application)));
	/* The last one wins in libpq: texts are UTF-8 here, whatever the url says. */
	add(&c, "client_encoding", "UTF8");
	PQconninfoFree(options);
	if (r < 0)
		return r;
	*ret = c;
	return 0;
}

void db_addresses_init(struct db_addresses *a, struct arena *arena)
{
	*a = (struct db_addresses){ .arena = arena };
	a->names = arena_array(arena, const char *, DB_ADDRESSES_MOST);
	a->numbers = arena_array(arena, const char *, DB_ADDRESSES_MOST);
	a->ports = arena_array(arena, const char *, DB_ADDRESSES_MOST);
}

static void add_address(struct db_addresses *a, const struct db_host *host, const char *number)
{
	if (a->count == DB_ADDRESSES_MOST)
		return; /* more would not be tried in any time that matters */
	a->names[a->count] = host->name;
	a->ports[a->count] = host->port;
	a->numbers[a->count] = arena_c(a->arena, str_c(number));
	a->count++;
}

void db_addresses_add(struct db_addresses *a, const struct db_host *host,
		      const struct addrinfo *found)
{
	char number[NI_MAXHOST];

	if (found == NULL) {
		bool is_folder = host->name[0] == '\0' || host->name[0] == '/' ||
				 host->name[0] == '@';

		add_address(a, host, is_folder ? "" : host->name);
		return;
	}
	for (; found != NULL; found = found->ai_next)
		if (getnameinfo(found->ai_addr, found->ai_addrlen, number, sizeof(number), NULL, 0,
				NI_NUMERICHOST) == 0)
			add_address(a, host, number);
}

static const char *join(const struct db_addresses *a, const char *const *texts, unsigned turn)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	for (size_t i = 0; i < a->count; i++) {
		if (i > 0)
			buf_add_byte(&out, ',');
		buf_add_c(&out, texts[(i + turn) % a->count]);
	}
	return arena_c(a->arena, buf_str(&out));
}

void db_conninfo_params(const struct db_conninfo *c, const struct db_addresses *a, unsigned turn,
			const char *const **ret_keywords, const char *const **ret_values)
{
	const char **keywords = arena_array(a->arena, const char *, c->count + 4);
	const char **values = arena_array(a->arena, const char *, c->count + 4);
	size_t n = c->count;

	memcpy(keywords, c->keywords, n * sizeof(*keywords));
	memcpy(values, c->values, n * sizeof(*values));
	if (a->count > 0) {
		keywords[n] = "host";
		values[n++] = join(a, a->names, turn);
		keywords[n] = "hostaddr";
		values[n++] = join(a, a->numbers, turn);
		keywords[n] = "port";
		values[n++] = join(a, a->ports, turn);
	}
	*ret_keywords = keywords;
	*ret_values = values;
}
