#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

/* Short names for the columns of the table only. */
#define RETRY ERROR_RETRY
#define DROP  ERROR_DROP
#define DIE   ERROR_DIE
static const struct error_row own_rows[] = {
#define ERROR(name, number, http, task, sentence) { number, #name, http, task, sentence },
#include "base/errors.def"
#undef ERROR
};
#undef RETRY
#undef DROP
#undef DIE

/* The library's rows, then whoever registered. */
#define MOST_TABLES 8
static struct {
	const struct error_row *rows;
	size_t count;
} tables[MOST_TABLES] = { { own_rows, ARRAY_SIZE(own_rows) } };
static size_t table_count = 1;

/* What the world's weather does, rather than a bug of ours: the client may try again. */
static const int passing_errnos[] = {
	ETIMEDOUT, ECANCELED, ECONNREFUSED, ECONNRESET,  ECONNABORTED, EPIPE,         ENOTCONN,
	EAGAIN,    EBUSY,     EHOSTUNREACH, ENETUNREACH, ENETDOWN,     EHOSTDOWN,     ENOMEM,
	ENFILE,    EMFILE,    ENOBUFS,      ENOSPC,      EDQUOT,       EADDRNOTAVAIL,
};

_Thread_local struct error_record *error_current;
static _Thread_local struct error_record thread_record;

void error_register(const struct error_row *rows, size_t count)
{
	must(table_count < MOST_TABLES);
	for (size_t i = 0; i < count; i++)
		must(error_find(rows[i].number) == NULL); /* one space of numbers */
	tables[table_count].rows = rows;
	tables[table_count].count = count;
	table_count++;
}

const struct error_row *error_row(size_t number)
{
	for (size_t t = 0; t < table_count; t++) {
		if (number < tables[t].count)
			return &tables[t].rows[number];
		number -= tables[t].count;
	}
	return NULL;
}

const struct error_row *error_find(int code)
{
	int number = abs(code);

	for (size_t t = 0; t < table_count; t++) {
		const struct error_row *rows = tables[t].rows;
		size_t guess = (size_t) (number - rows[0].number);

		/* Tables count up by one, as a rule. */
		if (number >= rows[0].number && guess < tables[t].count &&
		    rows[guess].number == number)
			return &rows[guess];
		for (size_t i = 0; i < tables[t].count; i++)
			if (rows[i].number == number)
				return &rows[i];
	}
	return NULL;
}

int error_http(int code)
{
	const struct error_row *row = error_find(code);

	if (row != NULL)
		return row->http;
	for (size_t i = 0; i < ARRAY_SIZE(passing_errnos); i++)
		if (abs(code) == passing_errnos[i])
			return 503;
	return 500;
}

enum error_task error_task(int code)
{
	const struct error_row *row = error_find(code);

	return row == NULL ? ERROR_RETRY : row->task;
}

const char *error_sentence(int code)
{
	const struct error_row *row = error_find(code);
	const char *sentence = row != NULL ? row->sentence : strerrordesc_np(abs(code));

	return sentence != NULL ? sentence : "Unknown error.";
}

const char *error_name(int code)
{
	static _Thread_local char unknown[16];
	const struct error_row *row = error_find(code);
	const char *name = row != NULL ? row->name : strerrorname_np(abs(code));

	if (name == NULL) {
		snprintf(unknown, sizeof(unknown), "E?%d", abs(code));
		name = unknown;
	}
	return name;
}

static struct error_record *record(void)
{
	if (unlikely(error_current == NULL))
		error_current = &thread_record;
	return error_current;
}

/* Drops the first bytes of a character whose last ones were cut off. */
static void trim_torn_character(char *text, size_t len)
{
	size_t start = len, need;
	uint8_t lead;

	while (start > 0 && ((uint8_t) text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	lead = (uint8_t) text[--start];
	need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (len - start < need)
		text[start] = '\0';
}

int fail(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(code, format, args);
	va_end(args);
	return code;
}

int vfail(int code, const char *format, va_list args)
{
	struct error_record *e = record();
	char text[sizeof(e->reason)]; /* the old reason may be among the arguments */
	int len = vsnprintf(text, sizeof(text), format, args);

	must(len >= 0);
	if ((size_t) len >= sizeof(text))
		trim_torn_character(text, sizeof(text) - 1);
	memcpy(e->reason, text, MIN((size_t) len + 1, sizeof(text)));
	e->code = code;
	return code;
}

int fail_in(int code, const char *format, ...)
{
	char words[sizeof(error_current->reason)];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	return fail(code, "%s: %s", words, fail_reason(code));
}

const char *fail_reason(int code)
{
	const struct error_record *e = record();

	return e->code == code && e->reason[0] != '\0' ? e->reason : error_sentence(code);
}

void fail_clear(void)
{
	record()->code = 0;
	record()->reason[0] = '\0';
}
