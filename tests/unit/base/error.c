#include "base/error.h"

#include <pthread.h>
#include <signal.h>

#include <criterion/criterion.h>

Test(error, every_row_is_whole_and_no_number_stands_twice)
{
	static const struct {
		int number;
		const char *name;
	} rows[] = {
#define ERROR(name, number, http, task, sentence) { number, #name },
#include "base/errors.def"
#undef ERROR
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct error_row *row = error_find(-rows[i].number);

		cr_assert_not_null(row);
		cr_assert_str_eq(row->name, rows[i].name, "%d stands twice", rows[i].number);
		cr_assert(row->http >= 400 && row->http < 600);
		cr_assert(strlen(row->sentence) > 5);
		cr_assert(rows[i].number > 4096, "apart from errno and libuv");
	}
}

Test(error, knows_the_kind_of_ours_of_errnos_and_of_nothing)
{
	cr_assert_eq(error_http(-E_CONFLICT), 409);
	cr_assert_eq(error_task(-E_REVOKED), ERROR_DROP);
	cr_assert_eq(error_task(-E_DEAD), ERROR_DIE);
	cr_assert_str_eq(error_sentence(-E_NOT_FOUND), "Not found.");
	cr_assert_str_eq(error_name(-E_CONFLICT), "E_CONFLICT");
	cr_assert_eq(error_http(-ETIMEDOUT), 503);
	cr_assert_eq(error_http(-EINVAL), 500);
	cr_assert_eq(error_task(-EINVAL), ERROR_RETRY);
	cr_assert_str_eq(error_name(-ECONNREFUSED), "ECONNREFUSED");
	cr_assert_str_eq(error_sentence(-ENOENT), "No such file or directory");
	cr_assert_str_eq(error_name(-3999), "E?3999");
	cr_assert_str_eq(error_sentence(-3999), "Unknown error.");
	cr_assert_null(error_find(-ENOENT));
}

static const struct error_row more[] = {
	{ 8001, "E_TEST", 418, ERROR_DROP, "Short and stout." },
	{ 8005, "E_GAP", 400, ERROR_DROP, "After a gap." },
};

Test(error, an_application_adds_rows)
{
	error_register(more, ARRAY_SIZE(more));
	cr_assert_eq(error_http(-8001), 418);
	cr_assert_str_eq(error_name(-8005), "E_GAP");
	cr_assert_null(error_find(-8002));
	cr_assert_str_eq(error_name(-E_CONFLICT), "E_CONFLICT");
}

Test(error, a_number_that_is_taken_is_a_bug, .signal = SIGABRT)
{
	static const struct error_row taken = { E_CONFLICT, "E_MINE", 400, ERROR_DROP, "Mine." };

	error_register(&taken, 1);
}

static int deeper(void)
{
	return fail(-ENOENT, "no file %s", "x.json");
}

Test(error, reasons_stay_with_their_code)
{
	int r = deeper();

	cr_assert_eq(r, -ENOENT);
	cr_assert_str_eq(fail_reason(r), "no file x.json");
	cr_assert_str_eq(fail_reason(-EPERM), "Operation not permitted");
	r = fail_in(r, "reading %s", "settings");
	cr_assert_eq(r, -ENOENT);
	cr_assert_str_eq(fail_reason(r), "reading settings: no file x.json");
	r = fail(-E_INVALID, "again: %s", fail_reason(r)); /* its own record among the arguments */
	cr_assert_str_eq(fail_reason(r), "again: reading settings: no file x.json");
	cr_assert_str_eq(fail_reason(-ENOENT), "No such file or directory");
	fail_clear();
	cr_assert_str_eq(fail_reason(r), "Invalid input.");
}

Test(error, a_long_reason_is_cut_between_characters)
{
	char text[700];

	for (int shift = 0; shift < 4; shift++) {
		const char *reason;
		size_t len;

		memset(text, 'x', sizeof(text));
		for (size_t i = (size_t) shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		text[sizeof(text) - 1] = '\0';
		(void) fail(-EIO, "%s", text);
		reason = fail_reason(-EIO);
		len = strlen(reason);
		cr_assert(len > 505 && len < 512);
		cr_assert_eq((len - (size_t) shift) % 3, 0);
	}
}

static void *other_thread(void *arg)
{
	(void) fail(-EIO, "elsewhere");
	return NULL;
}

Test(error, each_thread_has_a_record)
{
	pthread_t t;

	(void) fail(-EIO, "here");
	cr_assert_eq(pthread_create(&t, NULL, other_thread, NULL), 0);
	pthread_join(t, NULL);
	cr_assert_str_eq(fail_reason(-EIO), "here");
}
