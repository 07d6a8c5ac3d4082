/*
 * A second look at the raw head of a request.  h2o takes the first of two Content-Lengths and
 * prefers Transfer-Encoding to Content-Length; a proxy in front of us may choose otherwise, and
 * then the two of us disagree about where the next request begins (request smuggling).  So whatever
 * is not said exactly once is refused (RFC 9112 §6.1, §6.3, §3.2), and so are folded lines (§5.2) and
 * lines that end in a bare line feed (§2.2 lets a server choose).  Where a chunk's length ends is h2o's
 * to say, and it is lenient ("0x2" is 0 with an extension), so the connection of a chunked request
 * serves no other one.
 */
#include "http/internal.h"

/* *is_bare when it does not end as lines must; the whole rest of an unfinished head is none. */
static struct str next_line(struct str *rest, bool *is_bare)
{
	struct str line = STR("");

	str_cut(rest, '\n', &line);
	if (str_ends(line, STR("\r")))
		line.len--;
	else if (!str_is_null(*rest))
		*is_bare = true;
	return line;
}

const char *head_fault(struct str input, bool *ret_is_chunked)
{
	struct str rest = str_slice(input, 0, HEAD_MOST), line;
	bool is_bare = false;
	unsigned lengths = 0, encodings = 0, hosts = 0;

	next_line(&rest, &is_bare); /* the request line; h2o has checked it */
	for (line = next_line(&rest, &is_bare); line.len > 0; line = next_line(&rest, &is_bare)) {
		struct str name = STR("");

		if (line.at[0] == ' ' || line.at[0] == '\t')
			return "a folded header line";
		str_cut(&line, ':', &name);
		if (name.len == STR("content-length").len)
			lengths += str_eq_nocase(name, STR("content-length"));
		else if (name.len == STR("transfer-encoding").len)
			encodings += str_eq_nocase(name, STR("transfer-encoding"));
		else if (name.len == STR("host").len)
			hosts += str_eq_nocase(name, STR("host"));
	}
	if (str_is_null(rest))
		return "a head that is too long";
	if (is_bare)
		return "a line that ends without a carriage return";
	if (lengths > 1)
		return "more than one Content-Length";
	if (encodings > 1)
		return "more than one Transfer-Encoding";
	if (lengths > 0 && encodings > 0)
		return "both Content-Length and Transfer-Encoding";
	if (hosts > 1)
		return "more than one Host";
	*ret_is_chunked = encodings > 0;
	return NULL;
}
