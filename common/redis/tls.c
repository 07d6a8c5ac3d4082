#include "redis/tls-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/log.h"

struct redis_tls {
	struct list link;
	unsigned users;
	struct redis_tls_files files; /* copies; without what is about the server's name */
	SSL_CTX *context;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list kept = LIST_INIT(kept);

struct redis_session {
	SSL *ssl;
};

/* The newest of OpenSSL's complaints; forgets all of them. */
static const char *complaint(char *text, size_t size)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	snprintf(text, size, "%s", reason != NULL ? reason : "no reason given");
	ERR_clear_error();
	return text;
}

static int bad_file(const char *option, const char *path)
{
	char why[128];

	return fail(-E_BAD_SETTING, "redis url: %s=%s: %s", option, path,
		    complaint(why, sizeof(why)));
}

static int load_files(SSL_CTX *context, const struct redis_tls_files *f)
{
	const char *key = f->key != NULL ? f->key : f->certificate;

	ERR_clear_error();
	if (f->authorities != NULL) {
		if (SSL_CTX_load_verify_locations(context, f->authorities, NULL) != 1)
			return bad_file("ssl_ca_certs", f->authorities);
	} else if (SSL_CTX_set_default_verify_paths(context) != 1) {
		return bad_file("ssl_ca_certs", "");
	}
	if (f->certificate == NULL)
		return f->key == NULL
			       ? 0
			       : fail(-E_BAD_SETTING,
				      "redis url: ssl_keyfile is given without ssl_certfile");
	if (SSL_CTX_use_certificate_chain_file(context, f->certificate) != 1)
		return bad_file("ssl_certfile", f->certificate);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return bad_file("ssl_keyfile", key);
	return 0;
}

static int read_files(const struct redis_tls_files *f, SSL_CTX **ret)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int r;

	must(context != NULL);
	must(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(context, f->is_unchecked ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	r = load_files(context, f);
	if (r < 0) {
		SSL_CTX_free(context);
		return r;
	}
	*ret = context;
	return 0;
}

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same(const struct redis_tls_files *a, const struct redis_tls_files *b)
{
	return is_same_text(a->authorities, b->authorities) &&
	       is_same_text(a->certificate, b->certificate) && is_same_text(a->key, b->key) &&
	       a->is_unchecked == b->is_unchecked;
}

/* Locked.  NULL: nobody uses these files yet. */
static struct redis_tls *find(const struct redis_tls_files *f)
{
	list_for_each (node, &kept) {
		struct redis_tls *t = list_entry(node, struct redis_tls, link);

		if (is_same(&t->files, f))
			return t;
	}
	return NULL;
}

static const char *copy(const char *text)
{
	char *own = text == NULL ? NULL : strdup(text);

	must(text == NULL || own != NULL);
	return own;
}

static struct redis_tls *keep(const struct redis_tls_files *f, SSL_CTX *context)
{
	struct redis_tls *t = calloc(1, sizeof(*t));

	must(t != NULL);
	t->files = (struct redis_tls_files){ .authorities = copy(f->authorities),
					     .certificate = copy(f->certificate),
					     .key = copy(f->key),
					     .is_unchecked = f->is_unchecked };
	t->context = context;
	list_init(&t->link);
	list_append(&kept, &t->link);
	return t;
}

int redis_tls_hold(const struct redis_tls_files *f, struct redis_tls **ret)
{
	struct redis_tls *t;
	SSL_CTX *context;
	int r = 0;

	pthread_mutex_lock(&lock);
	t = find(f);
	if (t == NULL) {
		r = read_files(f, &context);
		if (r == 0)
			t = keep(f, context);
	}
	if (r == 0) {
		t->users++;
		*ret = t;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

struct redis_tls *redis_tls_drop(struct redis_tls *t)
{
	if (t == NULL)
		return NULL;
	pthread_mutex_lock(&lock);
	if (--t->users == 0) {
		list_remove(&t->link);
		SSL_CTX_free(t->context); /* sessions that still live hold it */
		free((void *) t->files.authorities);
		free((void *) t->files.certificate);
		free((void *) t->files.key);
		free(t);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void redis_reload_tls(void)
{
	pthread_mutex_lock(&lock);
	list_for_each (node, &kept) {
		struct redis_tls *t = list_entry(node, struct redis_tls, link);
		SSL_CTX *fresh;
		int r = read_files(&t->files, &fresh);

		if (r < 0) {
			log_warn("TLS to Redis: its files stay as they were: %s", fail_reason(r));
			continue;
		}
		SSL_CTX_free(t->context);
		t->context = fresh;
		log_info("TLS to Redis: its files were read again");
	}
	pthread_mutex_unlock(&lock);
}

static bool is_address(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

struct redis_session *redis_session_new(struct redis_tls *t, const struct redis_tls_files *f,
					int fd, const char *host)
{
	struct redis_session *s = calloc(1, sizeof(*s));
	const char *name = f->server_name != NULL ? f->server_name : host;
	bool is_name_checked = !f->is_unchecked && !f->is_name_unchecked;

	must(s != NULL);
	pthread_mutex_lock(&lock);
	s->ssl = SSL_new(t->context);
	pthread_mutex_unlock(&lock);
	must(s->ssl != NULL && SSL_set_fd(s->ssl, fd) == 1);
	SSL_set_connect_state(s->ssl);
	if (is_address(name)) {
		if (is_name_checked)
			must(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), name) == 1);
	} else {
		must(SSL_set_tlsext_host_name(s->ssl, name) == 1);
		if (is_name_checked)
			must(SSL_set1_host(s->ssl, name) == 1);
	}
	return s;
}

struct redis_session *redis_session_free(struct redis_session *s)
{
	if (s != NULL)
		SSL_free(s->ssl);
	free(s);
	return NULL;
}

int redis_session_handshake(struct redis_session *s, bool *ret_for_write)
{
	char why[128];
	long verdict;
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(s->ssl);
	if (r == 1)
		return 1;
	switch (SSL_get_error(s->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		*ret_for_write = false;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		*ret_for_write = true;
		return 0;
	default:
		verdict = SSL_get_verify_result(s->ssl);
		if (SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE && verdict != X509_V_OK)
			return fail(-E_UNAVAILABLE, "TLS: its certificate is refused: %s",
				    X509_verify_cert_error_string(verdict));
		return fail(-E_UNAVAILABLE, "TLS: %s", complaint(why, sizeof(why)));
	}
}

/* What read(2) and send(2) say, from what OpenSSL does. */
static ssize_t outcome(struct redis_session *s, int r)
{
	if (r > 0)
		return r;
	switch (SSL_get_error(s->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		if (errno == 0)
			return 0;
		return -1;
	default:
		errno = EPROTO;
		return -1;
	}
}

ssize_t redis_session_read(struct redis_session *s, void *to, size_t len)
{
	size_t got = 0;
	ssize_t n = 0;

	/* A call gives one record, 16 KiB at most. */
	while (got < len) {
		ERR_clear_error();
		errno = 0;
		n = outcome(
			s, SSL_read(s->ssl, (char *) to + got, (int) MIN(len - got, (size_t) MIB)));
		if (n <= 0)
			break;
		got += (size_t) n;
	}
	return got > 0 ? (ssize_t) got : n;
}

bool redis_session_has_more(const struct redis_session *s)
{
	return SSL_pending(s->ssl) > 0;
}

ssize_t redis_session_write(struct redis_session *s, const void *from, size_t len)
{
	size_t put = 0;
	ssize_t n = 0;

	while (put < len) {
		ERR_clear_error();
		errno = 0;
		n = outcome(s, SSL_write(s->ssl, (const char *) from + put,
					 (int) MIN(len - put, (size_t) MIB)));
		if (n <= 0)
			break;
		put += (size_t) n;
	}
	return put > 0 ? (ssize_t) put : n;
}
