#include "base/buf.h"

#include <stdlib.h>

#include <criterion/criterion.h>

Test(buf, is_always_terminated_and_starts_without_memory)
{
	struct buf b = BUF_INIT;

	cr_assert_eq(b.cap, 0);
	cr_assert_str_eq(b.at, "");
	for (int i = 0; i < 1000; i++) {
		buf_add_byte(&b, 'x');
		cr_assert_eq(b.at[b.len], '\0');
	}
	cr_assert_eq(b.len, 1000);
	buf_clear(&b);
	cr_assert_str_eq(b.at, "");
	cr_assert(b.cap > 1000, "clear keeps the memory");
	buf_fini(&b);
	buf_fini(&b);
	cr_assert_eq(b.cap, 0);
	buf_clear(&b);
	buf_truncate(&b, 0);
}

Test(buf, adds_of_every_kind)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	buf_add_c(&b, "a");
	buf_add_str(&b, STR("bc"));
	buf_add_str(&b, STR_NULL);
	buf_add_i64(&b, INT64_MIN);
	buf_add_byte(&b, ' ');
	buf_add_u64(&b, UINT64_MAX);
	buf_add_byte(&b, ' ');
	buf_add_i64(&b, 0);
	buf_printf(&b, " %d %s", 7, "x");
	cr_assert_str_eq(b.at, "abc-9223372036854775808 18446744073709551615 0 7 x");
}

Test(buf, printf_grows_to_what_it_needs)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	char big[500];

	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (size_t i = 0; i < 130; i++) {
		buf_clear(&b);
		for (size_t k = 0; k < i; k++)
			buf_add_byte(&b, '.');
		buf_printf(&b, "%s!", big);
		cr_assert_eq(b.len, i + 500);
		cr_assert_eq(b.at[b.len - 1], '!');
		cr_assert_eq(strlen(b.at), b.len);
	}
}

Test(buf, drops_in_front_and_behind)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	buf_drop_front(&b, 0);
	buf_add_c(&b, "abcdef");
	buf_drop_front(&b, 2);
	cr_assert_str_eq(b.at, "cdef");
	buf_truncate(&b, 1);
	cr_assert_str_eq(b.at, "c");
	buf_drop_front(&b, 1);
	cr_assert_str_eq(b.at, "");
}

Test(buf, detach_gives_memory_even_of_nothing)
{
	struct buf b = BUF_INIT;
	size_t len = 9;
	char *at = buf_detach(&b, &len);

	cr_assert_eq(len, 0);
	cr_assert_str_eq(at, "");
	free(at);
	buf_add_c(&b, "xyz");
	at = buf_detach(&b, NULL);
	cr_assert_str_eq(at, "xyz");
	cr_assert_eq(b.cap, 0);
	free(at);
}
