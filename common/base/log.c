#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/datetime.h"
#include "base/json.h"
#include "base/world.h"

#define LINE_MOST     (8 * KIB)
/* A sentence may not push out what comes after it; the end of the line is kept for the context. */
#define SENTENCE_MOST (5 * KIB)
#define PAIRS_MOST    (7 * KIB)

_Thread_local const struct log_context *log_context;

static enum log_level level_most = LOG_INFO;
static bool is_json;
static char program[32] = "apium";
static void (*divert)(void *arg, enum log_level, struct str);
static void *divert_arg;

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

void log_setup(enum log_level most, bool as_json, const char *name)
{
	level_most = most;
	is_json = as_json;
	snprintf(program, sizeof(program), "%s", name);
}

enum log_level log_level_from_name(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0)
			return (enum log_level) i;
	}
	return LOG_INFO;
}

void log_set_level(enum log_level most)
{
	__atomic_store_n(&level_most, most, __ATOMIC_RELAXED);
}

bool log_is_on(enum log_level level)
{
	return level <= __atomic_load_n(&level_most, __ATOMIC_RELAXED);
}

void log_divert(void (*line)(void *arg, enum log_level, struct str), void *arg)
{
	divert = line;
	divert_arg = arg;
}

/* At most three quarters of it, not ending within a character. */
static struct str shorter(struct str s)
{
	size_t len = s.len / 4 * 3;

	while (len > 0 && ((uint8_t) s.at[len] & 0xc0) == 0x80)
		len--;
	return str_slice(s, 0, len);
}

/* A line feed in a value must not begin a line of its own: whoever writes values could forge
 * one. */
static void escape_text(struct buf *b, struct str s, bool in_quotes)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = (uint8_t) s.at[i];

		if (c == '\n')
			buf_add_c(b, "\\n");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\x%02x", c);
		else if (in_quotes && (c == '"' || c == '\\'))
			buf_printf(b, "\\%c", c);
		else
			buf_add_byte(b, (char) c);
	}
}

static void escape_json(struct buf *b, struct str s, bool in_quotes)
{
	_cleanup_(arena_fini) struct arena a = { 0 };

	json_escape_add(b, utf8_repair(&a, s), JSON_ESCAPE_DRF);
}

/* Appends what fits of `s`, escaped, so that the line is not longer than `most`. */
static void add_bounded(struct buf *b, struct str s, size_t most, bool in_quotes,
			void (*escape)(struct buf *, struct str, bool))
{
	size_t start = b->len;

	s = str_slice(s, 0, LINE_MOST);
	for (;;) {
		escape(b, s, in_quotes);
		if (b->len <= most || s.len == 0)
			return;
		buf_truncate(b, start);
		s = shorter(s);
	}
}

static void add_value(struct buf *b, const char *key, struct str text, size_t most)
{
	size_t start = b->len;
	bool in_quotes = text.len == 0;

	for (size_t i = 0; i < text.len; i++)
		in_quotes |= (uint8_t) text.at[i] <= ' ' || text.at[i] == '"' || text.at[i] == '=';
	if (is_json) {
		buf_printf(b, ",\"%s\":", key);
		add_bounded(b, text, most, true, escape_json);
	} else {
		buf_printf(b, " %s=%s", key, in_quotes ? "\"" : "");
		add_bounded(b, text, most, in_quotes, escape_text);
		buf_add_c(b, in_quotes ? "\"" : "");
	}
	/* Half a pair would say something false. */
	if (b->len > most + 1)
		buf_truncate(b, start);
}

static void add_head(struct buf *b, enum log_level level, struct str sentence)
{
	struct civil c;

	civil_from_realtime(now_realtime(), &c);
	if (is_json)
		buf_add_c(b, "{\"time\":\"");
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", c.year, c.month, c.day, c.hour,
		   c.minute, c.second, c.microsecond);
	if (is_json) {
		buf_printf(b, "\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d,\"message\":",
			   level_names[level], program, (int) getpid());
		add_bounded(b, sentence, SENTENCE_MOST, true, escape_json);
	} else {
		buf_printf(b, " %-5s %s[%d] ", level_names[level], program, (int) getpid());
		add_bounded(b, sentence, SENTENCE_MOST, false, escape_text);
	}
}

static void log_line(enum log_level level, struct str sentence, const struct log_pair *pairs,
		     size_t count)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	const struct log_context *context = log_context;

	add_head(&b, level, sentence);
	for (size_t i = 0; i < count; i++) {
		if (pairs[i].kind == LOG_PAIR_STR)
			add_value(&b, pairs[i].key, pairs[i].text, PAIRS_MOST);
		else if (b.len < PAIRS_MOST)
			buf_printf(&b, is_json ? ",\"%s\":%lld" : " %s=%lld", pairs[i].key,
				   (long long) pairs[i].number);
	}
	if (context != NULL && context->what != NULL) {
		if (context->id[0] != '\0')
			add_value(&b, context->what, str_c(context->id), LINE_MOST - 4);
		if (context->name[0] != '\0')
			add_value(&b,
				  context->id[0] == '\0'     ? context->what
				  : context->name_as != NULL ? context->name_as
							     : "name",
				  str_c(context->name), LINE_MOST - 4);
		if (context->trace.id[0] != '\0')
			add_value(&b, "trace", str_c(context->trace.id), LINE_MOST - 4);
	}
	if (is_json)
		buf_add_byte(&b, '}');
	if (divert != NULL) {
		divert(divert_arg, level, buf_str(&b));
	} else {
		ssize_t ignored;

		/* One write, so that lines of processes do not mix.  There is nobody to tell if it
		 * fails. */
		buf_add_byte(&b, '\n');
		ignored = write(STDERR_FILENO, b.at, b.len);
		(void) ignored;
	}
}

void log_write(enum log_level level, const char *format, ...)
{
	_cleanup_(buf_fini) struct buf sentence = BUF_INIT;
	int saved_errno = errno;
	va_list args;

	if (!log_is_on(level))
		return;
	va_start(args, format);
	buf_vprintf(&sentence, format, args);
	va_end(args);
	log_line(level, buf_str(&sentence), NULL, 0);
	errno = saved_errno;
}

void log_event_pairs(enum log_level level, const char *sentence, const struct log_pair *pairs,
		     size_t count)
{
	int saved_errno = errno;

	if (!log_is_on(level))
		return;
	log_line(level, str_c(sentence), pairs, count);
	errno = saved_errno;
}
