#include "mail/message.h"

#include "base/buf.h"
#include "base/codec.h"
#include "base/datetime.h"
#include "base/error.h"

#define LINE_MOST       76 /* RFC 2045 §6.7: quoted-printable lines */
#define PLAIN_LINE_MOST 78 /* RFC 5322 §2.1.1: what a line should not exceed */
/* Bytes of UTF-8 in one encoded word: "Subject: =?utf-8?b?" + base64 of 42 + "?=" is a line of
 * 77. */
#define WORD_BYTES      42

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char) s.at[i];

		if (c >= 0x7f || (c < 0x20 && c != '\n' && c != '\r' && c != '\t'))
			return false;
	}
	return true;
}

static bool has_break(struct str s)
{
	return s.len > 0 &&
	       (memchr(s.at, '\n', s.len) != NULL || memchr(s.at, '\r', s.len) != NULL ||
		memchr(s.at, '\0', s.len) != NULL);
}

static bool has_short_lines(struct str s)
{
	struct str line;

	while (str_cut(&s, '\n', &line)) {
		if (line.len > PLAIN_LINE_MOST)
			return false;
	}
	return true;
}

/* A subject: as it is, or as encoded words that never cut a character. */
static void add_header_text(struct buf *out, struct str text)
{
	if (is_ascii(text) && text.len < PLAIN_LINE_MOST - sizeof("Subject: ")) {
		buf_add_str(out, text);
		return;
	}
	bool is_first = true;
	while (text.len > 0) {
		size_t take = MIN(text.len, WORD_BYTES);

		while (take < text.len && ((unsigned char) text.at[take] & 0xc0) == 0x80)
			take--;
		buf_add_c(out, is_first ? "=?utf-8?b?" : "\r\n =?utf-8?b?");
		base64_encode(out, str_slice(text, 0, take));
		buf_add_c(out, "?=");
		text = str_slice(text, take, text.len);
		is_first = false;
	}
}

/* Any line end becomes CRLF. */
static void add_lines(struct buf *out, struct str text)
{
	struct str line;

	while (str_cut(&text, '\n', &line)) {
		if (str_ends(line, STR("\r")))
			line.len--;
		buf_add_str(out, line);
		buf_add_c(out, "\r\n");
	}
}

static void add_quoted_line(struct buf *out, struct str line)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t column = 0;

	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char) line.at[i];
		bool is_last = i + 1 == line.len;
		bool is_plain = (c > 0x20 && c < 0x7f && c != '=') ||
				((c == ' ' || c == '\t') && !is_last);
		size_t width = is_plain ? 1 : 3;

		if (column + width > LINE_MOST - 1) {
			buf_add_c(out, "=\r\n");
			column = 0;
		}
		if (is_plain) {
			buf_add_byte(out, (char) c);
		} else {
			buf_add_byte(out, '=');
			buf_add_byte(out, digits[c >> 4]);
			buf_add_byte(out, digits[c & 15]);
		}
		column += width;
	}
	buf_add_c(out, "\r\n");
}

static void add_part(struct buf *out, const char *type, struct str body)
{
	struct str line;

	buf_printf(out, "Content-Type: %s; charset=\"utf-8\"\r\n", type);
	if (is_ascii(body) && has_short_lines(body)) {
		buf_add_c(out, "Content-Transfer-Encoding: 7bit\r\n\r\n");
		add_lines(out, body);
		return;
	}
	buf_add_c(out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	while (str_cut(&body, '\n', &line)) {
		if (str_ends(line, STR("\r")))
			line.len--;
		add_quoted_line(out, line);
	}
}

static int check_address(struct str address)
{
	ptrdiff_t at = str_find_char(address, '@');

	if (at <= 0 || (size_t) at + 1 == address.len || has_break(address) || address.len > 254)
		return fail(-E_DROPPED, "not an address: %.*s", STR_ARG(str_slice(address, 0, 80)));
	for (size_t i = 0; i < address.len; i++) {
		if (strchr(" <>,;\"\t", address.at[i]) != NULL)
			return fail(-E_DROPPED, "not a bare address: %.*s",
				    STR_ARG(str_slice(address, 0, 80)));
	}
	return 0;
}

static int check(const struct mail *m)
{
	int r;

	if (m->to_count == 0 || m->to_count > MAIL_RECIPIENTS)
		return fail(-E_DROPPED, "a mail has 1 to %d recipients, not %zu", MAIL_RECIPIENTS,
			    m->to_count);
	if (has_break(m->subject) || has_break(m->id))
		return fail(-E_DROPPED, "the subject has a line break");
	for (size_t i = 0; i < m->to_count; i++) {
		r = check_address(m->to[i]);
		if (r < 0)
			return r;
	}
	return check_address(m->from);
}

int mail_compose(struct arena *arena, const struct mail *m, struct str *ret_bytes)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct str domain;
	int r;

	r = check(m);
	if (r < 0)
		return r;
	domain = str_slice(m->from, (size_t) str_find_char(m->from, '@') + 1, m->from.len);

	buf_printf(&out, "From: %.*s\r\nTo: ", STR_ARG(m->from));
	for (size_t i = 0; i < m->to_count; i++) {
		buf_add_c(&out, i == 0 ? "" : ",\r\n ");
		buf_add_str(&out, m->to[i]);
	}
	buf_add_c(&out, "\r\nSubject: ");
	add_header_text(&out, m->subject);
	buf_add_c(&out, "\r\nDate: ");
	datetime_add_rfc5322(&out, m->date);
	buf_printf(&out, "\r\nMessage-ID: <%.*s@%.*s>\r\nMIME-Version: 1.0\r\n", STR_ARG(m->id),
		   STR_ARG(domain));
	if (str_is_null(m->html)) {
		add_part(&out, "text/plain", m->text);
	} else {
		/* The boundary cannot stand in a part: "=_" is no quoted-printable text, and the id
		 * is ours. */
		buf_printf(&out, "Content-Type: multipart/alternative; boundary=\"=_%.*s\"\r\n\r\n",
			   STR_ARG(m->id));
		buf_printf(&out, "--=_%.*s\r\n", STR_ARG(m->id));
		add_part(&out, "text/plain", m->text);
		buf_printf(&out, "--=_%.*s\r\n", STR_ARG(m->id));
		add_part(&out, "text/html", m->html);
		buf_printf(&out, "--=_%.*s--\r\n", STR_ARG(m->id));
	}
	*ret_bytes = arena_str(arena, buf_str(&out));
	return 0;
}
