#include <criterion/criterion.h>

#include "base/error.h"
#include "mail/message.h"

static struct arena arena;

static void setup(void)
{
	arena_init(&arena);
}

static void teardown(void)
{
	arena_fini(&arena);
}

TestSuite(message, .init = setup, .fini = teardown);

static struct mail usual(void)
{
	static const struct str to[] = { STR_INIT("ann@example.com") };

	return (struct mail){ .from = STR("from@example.com"),
			      .to = to,
			      .to_count = 1,
			      .subject = STR("Hello"),
			      .text = STR("one\ntwo\n"),
			      .id = STR("key-1"),
			      .date = 1000000000 * SEC };
}

Test(message, writes_headers_and_a_plain_body_with_crlf)
{
	struct mail mail = usual();
	struct str bytes;

	cr_assert_eq(mail_compose(&arena, &mail, &bytes), 0);
	cr_expect(
		str_eq_c(
			bytes,
			"From: from@example.com\r\nTo: ann@example.com\r\nSubject: Hello\r\n"
			"Date: Sun, 09 Sep 2001 01:46:40 +0000\r\nMessage-ID: <key-1@example.com>\r\n"
			"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=\"utf-8\"\r\n"
			"Content-Transfer-Encoding: 7bit\r\n\r\none\r\ntwo\r\n\r\n"),
		"%.*s", STR_ARG(bytes));
}

Test(message, encodes_what_is_not_ascii)
{
	struct mail mail = usual();
	struct str bytes;

	mail.subject = STR("Grüße");
	mail.text = STR("für 5 = fünf");
	cr_assert_eq(mail_compose(&arena, &mail, &bytes), 0);
	cr_expect(str_find(bytes, STR("Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n")) > 0);
	cr_expect(str_find(bytes, STR("quoted-printable\r\n\r\nf=C3=BCr 5 =3D f=C3=BCnf\r\n")) > 0);
}

Test(message, keeps_encoded_lines_short)
{
	struct mail mail = usual();
	struct str bytes, line;
	char text[1000];

	memset(text, 'x', sizeof(text));
	mail.text = str_make(text, sizeof(text));
	mail.subject = mail.text;
	cr_assert_eq(mail_compose(&arena, &mail, &bytes), 0);
	while (str_cut(&bytes, '\n', &line))
		cr_expect_leq(line.len, 78, "%.*s", STR_ARG(line));
}

Test(message, sends_text_and_html_as_alternatives)
{
	struct mail mail = usual();
	struct str bytes;

	mail.html = STR("<p>one</p>");
	cr_assert_eq(mail_compose(&arena, &mail, &bytes), 0);
	ptrdiff_t plain = str_find(bytes, STR("text/plain")),
		  html = str_find(bytes, STR("text/html"));
	cr_expect(plain > 0 && html > plain);
	cr_expect(str_ends(bytes, STR("--=_key-1--\r\n")));
}

Test(message, refuses_what_would_add_headers)
{
	static const struct str evil[] = { STR_INIT("a@b.c\r\nBcc: x@y.z") };
	static const struct str nameless[] = { STR_INIT("@example.com") };
	struct mail mail = usual();
	struct str bytes;

	mail.subject = STR("Hello\nBcc: x@y.z");
	cr_expect_eq(mail_compose(&arena, &mail, &bytes), -E_DROPPED);
	mail = usual();
	mail.to = evil;
	cr_expect_eq(mail_compose(&arena, &mail, &bytes), -E_DROPPED);
	mail.to = nameless;
	cr_expect_eq(mail_compose(&arena, &mail, &bytes), -E_DROPPED);
	mail = usual();
	mail.to_count = 0;
	cr_expect_eq(mail_compose(&arena, &mail, &bytes), -E_DROPPED);
}
