/*
 * policy.h - which hosts, origins and schemes this server stands for: Django's ALLOWED_HOSTS,
 * SECURE_* and django-cors-headers, from settings.
 *
 * Made once at start and read-only afterwards, so that threads share it.  A server without a policy
 * takes every host, believes no proxy and sends no CORS header.
 *
 * Hosts.  ".example.com" stands for itself and everything below it, "*" for all; letters' case, a
 * final dot and the port do not count (Django: http/request.py, validate_host).
 *
 * Proxies.  Only what is set is believed: the header that says "the client came by https"
 * (SECURE_PROXY_SSL_HEADER), and X-Forwarded-Host (USE_X_FORWARDED_HOST).  A proxy must strip both
 * from what clients send.
 *
 * CORS.  Origins are compared as whole texts, "scheme://host[:port]"; "*" is all of them.  Who is
 * not listed gets the answer without the headers, a preflight too.
 */
#ifndef HTTP_POLICY_H
#define HTTP_POLICY_H

#include "http/request.h"

struct http_policy;

/* The texts are borrowed for as long as the policy lives; NULL is the empty text. */
struct http_policy_options {
	const char *allowed_hosts; /* comma-separated */
	const char *cors_origins;  /* comma-separated; empty: CORS is off */
	bool cors_credentials;
	int64_t cors_max_age;     /* seconds; 0: not sent */
	const char *proxy_scheme; /* "X-Forwarded-Proto: https"; empty: no header is believed */
	bool proxy_host;          /* X-Forwarded-Host is believed */
	int64_t hsts;             /* seconds; 0: not sent */
	bool hsts_subdomains, hsts_preload;
	bool ssl_redirect;
};

/* 0; -E_BAD_SETTING with a sentence that quotes the wrong word. */
int http_policy_new(const struct http_policy_options *, struct http_policy **ret) _must_check_;
struct http_policy *http_policy_free(struct http_policy *); /* NULL is fine; returns NULL */

/* Sets scheme and host of a request to what the client used, as far as a proxy is believed. */
void http_policy_forwarded(const struct http_policy *, struct request *);
/* `host` as sent, of valid form. */
bool http_policy_allows_host(const struct http_policy *, struct str host);
bool http_policy_wants_https(const struct http_policy *, const struct request *);

/* Headers for this request's answer: at most HTTP_POLICY_HEADERS.  Values lie in the request's
 * arena or in the policy. */
#define HTTP_POLICY_HEADERS 6
size_t http_policy_cors(const struct http_policy *, const struct request *, struct header *ret);
/* Strict-Transport-Security for an answer by https; absent if none is sent. */
struct str http_policy_hsts(const struct http_policy *, const struct request *);

#endif
