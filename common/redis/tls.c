#include "redis/tls-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

struct redis_tls {
	SSL_CTX *context;
	const char *server_name; /* NULL: the host; lives as long as the address */
	bool is_checked, is_name_checked;
};

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

static int load_files(SSL_CTX *context, const struct redis_address *a)
{
	const char *key = a->tls.key != NULL ? a->tls.key : a->tls.certificate;

	ERR_clear_error();
	if (a->tls.authorities != NULL) {
		if (SSL_CTX_load_verify_locations(context, a->tls.authorities, NULL) != 1)
			return bad_file("ssl_ca_certs", a->tls.authorities);
	} else if (SSL_CTX_set_default_verify_paths(context) != 1) {
		return bad_file("ssl_ca_certs", "");
	}
	if (a->tls.certificate == NULL)
		return a->tls.key == NULL
			       ? 0
			       : fail(-E_BAD_SETTING,
				      "redis url: ssl_keyfile is given without ssl_certfile");
	if (SSL_CTX_use_certificate_chain_file(context, a->tls.certificate) != 1)
		return bad_file("ssl_certfile", a->tls.certificate);
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return bad_file("ssl_keyfile", key);
	return 0;
}

int redis_tls_new(const struct redis_address *a, struct redis_tls **ret)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	struct redis_tls *t;
	int r;

	must(context != NULL);
	must(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(context, a->tls.is_unchecked ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	r = load_files(context, a);
	if (r < 0) {
		SSL_CTX_free(context);
		return r;
	}
	t = calloc(1, sizeof(*t));
	must(t != NULL);
	t->context = context;
	t->server_name = a->tls.server_name;
	t->is_checked = !a->tls.is_unchecked;
	t->is_name_checked = t->is_checked && !a->tls.is_name_unchecked;
	*ret = t;
	return 0;
}

struct redis_tls *redis_tls_free(struct redis_tls *t)
{
	if (t != NULL)
		SSL_CTX_free(t->context); /* sessions that still live hold it */
	free(t);
	return NULL;
}

static bool is_address(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

struct redis_session *redis_session_new(struct redis_tls *t, int fd, const char *host)
{
	struct redis_session *s = calloc(1, sizeof(*s));
	const char *name = t->server_name != NULL ? t->server_name : host;

	must(s != NULL);
	s->ssl = SSL_new(t->context);
	must(s->ssl != NULL && SSL_set_fd(s->ssl, fd) == 1);
	SSL_set_connect_state(s->ssl);
	if (is_address(name)) {
		if (t->is_name_checked)
			must(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), name) == 1);
	} else {
		must(SSL_set_tlsext_host_name(s->ssl, name) == 1);
		if (t->is_name_checked)
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
