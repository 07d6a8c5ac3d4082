/*
 * TLS at the door, for those who have no proxy in front.  TLS 1.2 and up; ALPN offers http/1.1, and h2
 * before it where that is asked for (http/http2-internal.h).
 */
#include "http/internal.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/error.h"

static int fail_tls(const char *what, const char *file)
{
	char reason[256];

	ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
	ERR_clear_error();
	return fail(-E_BAD_SETTING, "%s %s: %s", what, file, reason);
}

int tls_new(const char *certificate, const char *key, bool has_http2, SSL_CTX **ret)
{
	static const h2o_iovec_t protocols[] = { { (char *) "h2", 2 },
						 { (char *) "http/1.1", 8 },
						 { NULL, 0 } };
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	int r = 0;

	must(tls != NULL);
	SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	h2o_ssl_register_alpn_protocols(tls, has_http2 ? protocols : protocols + 1);
	if (SSL_CTX_use_certificate_chain_file(tls, certificate) != 1)
		r = fail_tls("the certificate", certificate);
	else if (SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		r = fail_tls("the key", key);
	else if (SSL_CTX_check_private_key(tls) != 1)
		r = fail_tls("the certificate is not that of the key", key);
	if (r < 0) {
		SSL_CTX_free(tls);
		return r;
	}
	*ret = tls;
	return 0;
}
