/*
 * warm.c - apium warm-cache: asks a gateway for what its cache keeps for many, so that the first clients find it.
 *
 * What that is follows from the resources' tables (resource/cached.h): rows that are kept for everybody
 * (row_ttl), the newest of each category; and the first page of lists that anybody may read (list_ttl).  To
 * these come the answers that handlers keep for everybody.  What is kept for one caller is not made ahead.
 * All but lists is asked for by somebody who may read it: the user named, with an access token that is made here.
 */
#include <curl/curl.h>
#include <stdio.h>

#include "auth/token.h"
#include "base/error.h"
#include "base/settings.h"
#include "command.h"
#include "session.h"
#include "shop.h"

#define PATIENCE_MS 10000L
#define MOST_USUAL  1000

/* By cached_value, of routes.def. */
static const char *const answers[] = { "products/popular/" };

struct warming {
	const char *email, *url;
	int64_t most; /* rows of a category */
	CURL *curl;
	struct curl_slist *header; /* Authorization */
	struct str base;           /* of URLs */
	size_t rows, lists, answers;
};

static size_t drop(char *data, size_t size, size_t count, void *arg)
{
	(void) data, (void) arg;
	return size * count;
}

/* One that has gone meanwhile is no failure. */
static int ask(struct warming *w, struct session *s, struct str path, bool is_signed, size_t *count)
{
	struct str url = arena_printf(&s->arena, "%.*s/api/v1/%.*s", STR_ARG(w->base),
				      STR_ARG(path));
	char why[CURL_ERROR_SIZE] = "";
	long status = 0;

	if (curl_easy_setopt(w->curl, CURLOPT_URL, url.at) != CURLE_OK ||
	    curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, why) != CURLE_OK ||
	    curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, drop) != CURLE_OK ||
	    curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, is_signed ? w->header : NULL) !=
		    CURLE_OK ||
	    curl_easy_setopt(w->curl, CURLOPT_PROXY, "") != CURLE_OK ||
	    curl_easy_setopt(w->curl, CURLOPT_TIMEOUT_MS, PATIENCE_MS) != CURLE_OK ||
	    curl_easy_perform(w->curl) != CURLE_OK ||
	    curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
		return fail(-E_UNAVAILABLE, "%.*s: %s", STR_ARG(url), why);
	if (status != 200 && status != 404)
		return fail(-E_UNAVAILABLE, "%.*s answers %ld", STR_ARG(url), status);
	*count += status == 200;
	return 0;
}

/* The column that names a row's category; NULL: it has none. */
static const char *category_column(const struct resource *res)
{
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		if (f->type == FIELD_REFERENCE && f->refers == &category_resource)
			return f->column != NULL ? f->column : f->name;
	}
	return NULL;
}

/* (key, category), category by category, the newest of each first. */
static struct str rows_sql(struct session *s, const struct resource *res)
{
	const char *column = category_column(res);

	return arena_printf(
		&s->arena,
		"SELECT p.id, c.name FROM (SELECT t.id, %1$s AS category, row_number() OVER (PARTITION BY "
		"%1$s ORDER BY %2$s) AS place FROM %3$s t WHERE %4$s) p "
		"LEFT JOIN %5$s c ON c.id = p.category WHERE p.place <= $1 "
		"ORDER BY c.name, p.category, p.place",
		column != NULL ? arena_printf(&s->arena, "t.%s", column).at : "NULL::uuid",
		res->order, res->table, res->exists != NULL ? res->exists : "true",
		category_resource.table);
}

static void say_category(const struct resource *res, struct str name, size_t rows)
{
	if (str_is_null(name))
		printf("%s without a category: %zu\n", res->name, rows);
	else
		printf("%s in %.*s: %zu\n", res->name, STR_ARG(name), rows);
	fflush(stdout);
}

static int warm_rows(struct warming *w, struct session *s, const struct resource *res)
{
	const struct db_statement find = { .sql = rows_sql(s, res) };
	size_t before = w->rows;
	struct db_rows rows;
	int r;

	r = db_query(s->db, &s->arena, &find,
		     DB_VALUES(arena_printf(&s->arena, "%ld", (long) w->most)), &rows);
	for (int i = 0; r == 0 && i < rows.count; i++) {
		struct str name = db_get(&rows, i, 1);

		r = ask(w, s,
			arena_printf(&s->arena, "%s%.*s/", res->path, STR_ARG(db_get(&rows, i, 0))),
			true, &w->rows);
		if (r == 0 && (i + 1 == rows.count || !str_eq(name, db_get(&rows, i + 1, 1)))) {
			say_category(res, name, w->rows - before);
			before = w->rows;
		}
	}
	return r;
}

static bool may_be_listed_by_anybody(const struct resource *res)
{
	for (size_t i = 0; i < res->permission_count; i++) {
		const struct permission *p = &res->permissions[i];

		if (p->who == WHO_ANYONE && (p->may & MAY_LIST) && p->caller == NULL)
			return true;
	}
	return false;
}

static int sign(struct warming *w, struct session *s)
{
	static const struct db_statement find = {
		.sql = STR_INIT("SELECT id FROM users WHERE email = $1 AND is_active"),
	};
	struct token_pair tokens;
	struct db_rows rows;
	int r;

	r = db_query(s->db, &s->arena, &find, DB_VALUES(str_c(w->email)), &rows);
	if (r == 0 && rows.count == 0)
		r = fail(-E_NOT_FOUND, "there is no active user with the address %s", w->email);
	if (r == 0)
		r = token_issue(&s->arena, db_get(&rows, 0, 0), &tokens);
	if (r == 0)
		w->header = curl_slist_append(NULL,
					      arena_printf(&s->arena, "Authorization: Bearer %.*s",
							   STR_ARG(tokens.access))
						      .at);
	return r;
}

static int warm(struct session *s, void *arg)
{
	struct warming *w = arg;
	struct str rest = str_c(settings.listen), address = STR("");
	int r;

	(void) settings_next_item(&rest, &address);
	w->base = w->url != NULL ? str_c(w->url)
				 : arena_printf(&s->arena, "http://%.*s", STR_ARG(address));
	r = sign(w, s);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(answers); i++)
		r = ask(w, s, str_c(answers[i]), true, &w->answers);
	for (size_t i = 0; r == 0 && i < shop_resource_count; i++) {
		const struct resource *res = shop_resources[i];

		if (res->list_ttl > 0 && may_be_listed_by_anybody(res))
			r = ask(w, s, str_c(res->path), false, &w->lists);
		if (r == 0 && res->row_ttl > 0)
			r = warm_rows(w, s, res);
	}
	return r;
}

int command_warm_cache(int argc, char **argv)
{
	struct warming w = { .most = MOST_USUAL };
	const struct option options[] = {
		{ "--as", OPTION_TEXT, &w.email, "ADDRESS",
		  "The user who asks for all but lists." },
		{ "--url", OPTION_TEXT, &w.url, "URL",
		  "The gateway, as clients name it: links in lists do. Usually http:// and the first of APIUM_LISTEN." },
		{ "--most", OPTION_COUNT, &w.most, "COUNT",
		  "Rows of a category, the newest first. Usually 1000." },
	};
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words > 0)
		return fail(-EINVAL, "warm-cache takes no words, not %s", argv[0]);
	if (w.email == NULL)
		return fail(-EINVAL, "warm-cache needs --as ADDRESS");
	token_setup(str_c(settings.secret_key));
	w.curl = curl_easy_init();
	must(w.curl != NULL);
	r = session_run(warm, &w, HOUR);
	curl_slist_free_all(w.header);
	curl_easy_cleanup(w.curl);
	if (r == 0)
		printf("asked for %zu rows, %zu lists, %zu other answers\n", w.rows, w.lists,
		       w.answers);
	return r;
}
