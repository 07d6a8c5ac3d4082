#include "http/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/settings.h"

struct http_policy {
	struct http_policy_options o;
	struct str hosts, origins;                   /* comma-separated */
	struct str scheme_header, scheme_value;      /* lower-case name; absent: not believed */
	char header_text[64], max_age[24], hsts[80]; /* what is sent, made once */
};

/* ".example.com", "*", "example.com", "[::1]": what Django's list may hold. */
static bool is_host_pattern(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] == '/' || s.at[i] == ' ' || s.at[i] == '@' ||
		    (s.at[i] == ':' && s.at[0] != '[') || (s.at[i] == '*' && s.len > 1))
			return false;
	return s.len > 0 && !str_eq_c(s, ".");
}

static int check_hosts(struct str list)
{
	struct str item;

	while (settings_next_item(&list, &item))
		if (!is_host_pattern(item))
			return fail(
				-E_BAD_SETTING,
				"APIUM_ALLOWED_HOSTS: \"%.*s\" is neither a host, \".domain\" nor \"*\"; "
				"scheme, port and path are left out",
				STR_ARG(item));
	return 0;
}

/* django-cors-headers checks the same at start (corsheaders.E013, E014). */
static int check_origins(struct str list)
{
	struct str item;

	while (settings_next_item(&list, &item)) {
		ptrdiff_t at = str_find(item, STR("://"));
		struct str host = at < 0 ? STR("") : str_slice(item, (size_t) at + 3, item.len);

		if (str_eq_c(item, "*") || str_eq_c(item, "null"))
			continue;
		if (at <= 0 || host.len == 0 || str_find_char(host, '/') >= 0)
			return fail(-E_BAD_SETTING,
				    "APIUM_CORS_ORIGINS: \"%.*s\" is no origin such as "
				    "https://shop.example.org (no path, no final slash)",
				    STR_ARG(item));
	}
	return 0;
}

static int read_scheme_header(struct http_policy *p)
{
	struct str rest = str_c(p->o.proxy_scheme), name;

	if (rest.len == 0)
		return 0;
	str_cut(&rest, ':', &name);
	name = str_trim(name);
	if (str_is_null(rest) || name.len == 0 || name.len >= sizeof(p->header_text) ||
	    str_trim(rest).len == 0)
		return fail(-E_BAD_SETTING,
			    "APIUM_PROXY_SCHEME: \"%s\" is not \"Header: value\", such as "
			    "\"X-Forwarded-Proto: https\"",
			    p->o.proxy_scheme);
	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];

		p->header_text[i] = (char) (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	p->scheme_header = str_make(p->header_text, name.len);
	p->scheme_value = str_trim(rest);
	return 0;
}

static int read_options(struct http_policy *p)
{
	int r;

	p->hosts = p->o.allowed_hosts == NULL ? STR("") : str_c(p->o.allowed_hosts);
	p->origins = p->o.cors_origins == NULL ? STR("") : str_c(p->o.cors_origins);
	if (p->o.proxy_scheme == NULL)
		p->o.proxy_scheme = "";
	r = check_hosts(p->hosts);
	if (r == 0)
		r = check_origins(p->origins);
	if (r == 0)
		r = read_scheme_header(p);
	if (r < 0)
		return r;
	snprintf(p->max_age, sizeof(p->max_age), "%lld", (long long) p->o.cors_max_age);
	snprintf(p->hsts, sizeof(p->hsts), "max-age=%lld%s%s", (long long) p->o.hsts,
		 p->o.hsts_subdomains ? "; includeSubDomains" : "",
		 p->o.hsts_preload ? "; preload" : "");
	return 0;
}

int http_policy_new(const struct http_policy_options *o, struct http_policy **ret)
{
	struct http_policy *p = calloc(1, sizeof(*p));
	int r;

	must(p != NULL);
	p->o = *o;
	r = read_options(p);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct http_policy *http_policy_free(struct http_policy *p)
{
	free(p);
	return NULL;
}

void http_policy_forwarded(const struct http_policy *p, struct request *rq)
{
	struct str sent, first;

	if (p == NULL)
		return;
	if (!str_is_null(p->scheme_header)) {
		sent = request_header(rq, p->scheme_header);
		if (str_cut(&sent, ',', &first)) /* the first proxy's word */
			rq->scheme = str_eq(str_trim(first), p->scheme_value) ? STR("https")
									      : STR("http");
	}
	sent = request_header(rq, STR("x-forwarded-host"));
	if (p->o.proxy_host && !str_is_null(sent))
		rq->host = sent;
}

/* Without its port and a final dot. */
static struct str domain_of(struct str host)
{
	size_t end = host.len;

	for (size_t i = host.len; i-- > 0 && host.at[i] != ']';)
		if (host.at[i] == ':')
			end = i;
	host = str_slice(host, 0, end);
	if (str_ends(host, STR(".")))
		host.len--;
	return host;
}

static bool matches(struct str pattern, struct str domain)
{
	if (str_eq_c(pattern, "*"))
		return true;
	if (pattern.at[0] != '.')
		return str_eq_nocase(pattern, domain);
	if (str_eq_nocase(str_slice(pattern, 1, pattern.len), domain))
		return true;
	return domain.len > pattern.len &&
	       str_eq_nocase(pattern, str_slice(domain, domain.len - pattern.len, domain.len));
}

bool http_policy_allows_host(const struct http_policy *p, struct str host)
{
	struct str rest, pattern, domain = domain_of(host);

	if (p == NULL)
		return true;
	rest = p->hosts;
	while (settings_next_item(&rest, &pattern))
		if (matches(pattern, domain))
			return true;
	return false;
}

bool http_policy_wants_https(const struct http_policy *p, const struct request *rq)
{
	return p != NULL && p->o.ssl_redirect && !str_eq_c(rq->scheme, "https");
}

/* *ret_any says that all origins are welcome. */
static bool allows_origin(const struct http_policy *p, struct str origin, bool *ret_any)
{
	struct str rest = p->origins, item;
	bool is_listed = false, is_any = false;

	while (settings_next_item(&rest, &item)) {
		is_any |= str_eq_c(item, "*");
		is_listed |= str_eq(item, origin);
	}
	*ret_any = is_any;
	return is_any || is_listed;
}

/* django-cors-headers, middleware.py add_response_headers; names as it writes them. */
size_t http_policy_cors(const struct http_policy *p, const struct request *rq, struct header *ret)
{
	struct str origin = request_header(rq, STR("origin"));
	bool is_any;
	size_t n = 0;

	if (p == NULL || p->origins.len == 0 || origin.len == 0 ||
	    !allows_origin(p, origin, &is_any))
		return 0;
	/* A browser refuses "*" beside credentials. */
	ret[n++] = (struct header){ STR("access-control-allow-origin"),
				    is_any && !p->o.cors_credentials ? STR("*") : origin };
	if (p->o.cors_credentials)
		ret[n++] = (struct header){ STR("access-control-allow-credentials"), STR("true") };
	if (rq->method != HTTP_OPTIONS)
		return n;
	ret[n++] = (struct header){ STR("access-control-allow-headers"),
				    STR("accept, authorization, content-type, user-agent, "
					"x-csrftoken, x-requested-with") };
	ret[n++] = (struct header){ STR("access-control-allow-methods"),
				    STR("DELETE, GET, OPTIONS, PATCH, POST, PUT") };
	if (p->o.cors_max_age > 0)
		ret[n++] = (struct header){ STR("access-control-max-age"), str_c(p->max_age) };
	must(n <= HTTP_POLICY_HEADERS);
	return n;
}

struct str http_policy_hsts(const struct http_policy *p, const struct request *rq)
{
	if (p == NULL || p->o.hsts == 0 || !str_eq_c(rq->scheme, "https"))
		return STR_NULL;
	return str_c(p->hsts);
}
