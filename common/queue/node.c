#include "queue/node.h"

#include <limits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/settings.h"

#define USUAL "apium@%h"

static void expand(struct buf *out, const char *pattern, struct str host)
{
	struct str rest = host, first;

	(void) str_cut(&rest, '.', &first);
	for (const char *p = pattern; *p != '\0'; p++) {
		char mark = *p == '%' ? p[1] : '\0';

		if (mark == 'h')
			buf_add_str(out, host);
		else if (mark == 'n')
			buf_add_str(out, first);
		else if (mark == 'd')
			buf_add_str(out, rest);
		else
			buf_add_byte(out, *p);
		p += mark == 'h' || mark == 'n' || mark == 'd' || mark == '%';
	}
}

struct str node_name(void)
{
	static char name[NODE_NAME_MOST + 1];
	static size_t len;
	char host[HOST_NAME_MAX + 1] = "";
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	if (len > 0)
		return str_make(name, len);
	if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
		memcpy(host, "localhost", sizeof("localhost"));
	expand(&text, settings.node == NULL || settings.node[0] == '\0' ? USUAL : settings.node,
	       str_c(host));
	if (utf8_find_invalid(buf_str(&text)) >= 0) { /* it goes into JSON */
		buf_clear(&text);
		expand(&text, USUAL, STR("localhost"));
	}
	len = MIN(text.len, (size_t) NODE_NAME_MOST);
	memcpy(name, text.at, len);
	return str_make(name, len);
}
