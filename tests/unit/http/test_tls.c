#include "http/fixture.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/world.h"

static char certificate[64], key[64];

static int hello(struct request *rq)
{
	return reply_text(rq, 200, "text/plain", request_absolute(rq, rq->mount));
}

static int length(struct request *rq)
{
	return reply_text(rq, 200, "text/plain",
			  arena_printf(&rq->arena, "%zu", rq->body_bytes.len));
}

static const struct route rows[] = {
	{ .method = HTTP_GET,
	  .pattern = "hello/",
	  .handle = hello,
	  .permit = permit_anyone,
	  .name = "hello" },
	{ .method = HTTP_POST,
	  .pattern = "hello/",
	  .handle = length,
	  .permit = permit_anyone,
	  .name = "length" },
};

static FILE *make_file(char path[64])
{
	int fd;

	strcpy(path, "/tmp/apium-http-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	return fdopen(fd, "w");
}

/* A key and a certificate that it has signed itself. */
static void make_certificate(void)
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	FILE *to;

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "localhost",
				   -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, pair);
	cr_assert_gt(X509_sign(x, pair, EVP_sha256()), 0);
	to = make_file(certificate);
	cr_assert_eq(PEM_write_X509(to, x), 1);
	fclose(to);
	to = make_file(key);
	cr_assert_eq(PEM_write_PrivateKey(to, pair, NULL, NULL, 0, NULL, NULL), 1);
	fclose(to);
	X509_free(x);
	EVP_PKEY_free(pair);
}

static void set_up(void)
{
	make_certificate();
	fx_options.tls_certificate = certificate;
	fx_options.tls_key = key;
	fixture_start(rows, ARRAY_SIZE(rows));
	fixture_listen();
}

static void tear_down(void)
{
	fixture_stop();
	unlink(certificate);
	unlink(key);
}

TestSuite(tls, .init = set_up, .fini = tear_down);

/* One step of OpenSSL after the other, the loop turning in between. */
static bool wants_more(SSL *ssl, int result, usec_t end)
{
	int error = SSL_get_error(ssl, result);

	cr_assert_lt(now_monotonic(), end, "TLS stands still");
	loop_turn(fx.loop, MSEC);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static void write_all(SSL *ssl, const char *at, size_t len)
{
	usec_t end = now_monotonic() + 10 * SEC;
	int n;

	SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	while (len > 0) {
		n = SSL_write(ssl, at, (int) len);
		if (n <= 0) {
			cr_assert(wants_more(ssl, n, end));
			continue;
		}
		at += n;
		len -= (size_t) n;
	}
}

static void say(SSL *ssl, const char *text)
{
	write_all(ssl, text, strlen(text));
}

static struct str read_until(SSL *ssl, const char *what)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	usec_t end = now_monotonic() + 10 * SEC;
	char bytes[1000];
	int n;

	while (str_find(buf_str(&b), str_c(what)) < 0) {
		n = SSL_read(ssl, bytes, sizeof(bytes));
		if (n <= 0)
			cr_assert(wants_more(ssl, n, end), "it ends after %s", b.at);
		else
			buf_add(&b, bytes, (size_t) n);
	}
	return arena_str(&fx.arena, buf_str(&b));
}

/* What the server shows to a new connection; the caller frees it. */
static X509 *shown(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	usec_t end = now_monotonic() + 10 * SEC;
	int fd = client_open(), r;
	X509 *x;

	SSL_set_fd(ssl, fd);
	while ((r = SSL_connect(ssl)) != 1)
		cr_assert(wants_more(ssl, r, end));
	x = SSL_get1_peer_certificate(ssl);
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	return x;
}

Test(tls, certificates_are_read_anew)
{
	X509 *old = shown(), *same, *new;
	char first_certificate[64], first_key[64];

	memcpy(first_certificate, certificate, sizeof(certificate));
	memcpy(first_key, key, sizeof(key));
	cr_assert_eq(truncate(first_certificate, 10), 0);
	cr_assert_eq(http_server_reload_tls(fx.server), -E_BAD_SETTING);
	same = shown();
	cr_assert_eq(X509_cmp(old, same), 0, "a bad file changes nothing");
	make_certificate();
	cr_assert_eq(rename(certificate, first_certificate), 0);
	cr_assert_eq(rename(key, first_key), 0);
	memcpy(certificate, first_certificate, sizeof(certificate));
	memcpy(key, first_key, sizeof(key));
	cr_assert_eq(http_server_reload_tls(fx.server), 0);
	new = shown();
	cr_assert_neq(X509_cmp(old, new), 0);
	X509_free(old);
	X509_free(same);
	X509_free(new);
}

Test(tls, speaks_http_1_1_and_nothing_else)
{
	static const unsigned char offered[] = "\x02h2\x08http/1.1";
	static char body[300 * 1000];
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	usec_t end = now_monotonic() + 10 * SEC;
	const unsigned char *chosen;
	unsigned chosen_len;
	int fd = client_open(), r;

	cr_assert_eq(SSL_set_alpn_protos(ssl, offered, sizeof(offered) - 1), 0);
	SSL_set_fd(ssl, fd);
	while ((r = SSL_connect(ssl)) != 1)
		cr_assert(wants_more(ssl, r, end));
	SSL_get0_alpn_selected(ssl, &chosen, &chosen_len);
	cr_assert(str_eq(str_make(chosen, chosen_len), STR("http/1.1")));
	cr_assert_geq(SSL_version(ssl), TLS1_2_VERSION);

	say(ssl, "GET /api/v1/hello/ HTTP/1.1\r\nHost: a.org\r\n\r\n");
	assert_contains(read_until(ssl, "/api/v1/"), "\r\n\r\nhttps://a.org/api/v1/");
	/* spilled, too */
	say(ssl, "POST /api/v1/hello/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
	write_all(ssl, body, sizeof(body));
	assert_contains(read_until(ssl, "\r\n\r\n300000"), "HTTP/1.1 200 OK");
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
}

Test(tls, a_client_without_it_gets_nothing)
{
	int fd = client_open();

	client_say(fd, "GET /api/v1/hello/ HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_assert_lt(str_find(client_read_all(fd), STR("HTTP")), 0);
	close(fd);
}

Test(tls, a_server_with_half_of_it_does_not_start)
{
	struct http_options o = fx_options;
	struct http_server *s;

	o.tls_key = NULL;
	cr_assert_eq(http_server_new(&o, &s), -E_BAD_SETTING);
	o.tls_key = "/nowhere";
	cr_assert_eq(http_server_new(&o, &s), -E_BAD_SETTING);
	cr_assert_not_null(strstr(fail_reason(-E_BAD_SETTING), "the key /nowhere"));
	o.tls_certificate = key;
	o.tls_key = key;
	cr_assert_eq(http_server_new(&o, &s), -E_BAD_SETTING);
	cr_assert_not_null(strstr(fail_reason(-E_BAD_SETTING), "the certificate"));
}
