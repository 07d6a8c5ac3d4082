#include "base/arena.h"

#include <signal.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/live.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

Test(arena, pieces_are_aligned_apart_and_counted)
{
	struct arena a;
	char *last = NULL;

	arena_init(&a);
	cr_assert_eq(live_get(LIVE_arenas), 0, "nothing is live before the first piece");
	for (size_t size = 0; size < 5000; size += 37) {
		char *at = arena_alloc(&a, size);

		cr_assert_eq((uintptr_t) at % 16, 0);
		cr_assert_neq(at, last);
		memset(at, 0xff, size);
		last = at;
	}
	cr_assert_eq(live_get(LIVE_arenas), 1);
	cr_assert(arena_used(&a) > 300000);
	arena_fini(&a);
	arena_fini(&a);
	cr_assert_eq(live_get(LIVE_arenas), 0);
}

Test(arena, zeroed_memory_is_zero_also_after_a_rewind)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct arena_mark mark = arena_save(&a);

	for (int round = 0; round < 3; round++) {
		int *numbers = arena_array(&a, int, 100);

		for (int i = 0; i < 100; i++)
			cr_assert_eq(numbers[i], 0);
		memset(numbers, 0xab, 400);
		arena_rewind(&a, mark);
	}
}

Test(arena, copies_are_terminated_and_absent_stays_absent)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct str s = arena_str(&a, STR("abc"));

	cr_assert_eq(s.len, 3);
	cr_assert_str_eq(s.at, "abc");
	cr_assert(str_is_null(arena_str(&a, STR_NULL)));
	cr_assert_str_eq(arena_c(&a, STR_NULL), "");
	cr_assert_eq(arena_printf(&a, "%0300d", 5).len, 300);
	cr_assert_str_eq(arena_printf(&a, "%d-%s", 5, "x").at, "5-x");
}

static void note(void *arg)
{
	struct buf **pair = arg;

	buf_add_str(pair[0], buf_str(pair[1]));
}

Test(arena, deferred_functions_run_backwards_before_memory_goes)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct arena a = { 0 };
	struct arena_mark mark;

	for (int i = 0; i < 3; i++) {
		/* The argument lies in the arena itself: it must still be there. */
		struct buf **pair = arena_alloc(&a, sizeof(*pair) * 2);
		struct buf *text = arena_new(&a, struct buf);

		text->at = arena_c(&a, arena_printf(&a, "%d", i));
		text->len = 1;
		pair[0] = &out;
		pair[1] = text;
		arena_defer(&a, note, pair);
		if (i == 0)
			mark = arena_save(&a);
	}
	arena_rewind(&a, mark);
	cr_assert_str_eq(out.at, "21");
	arena_fini(&a);
	cr_assert_str_eq(out.at, "210");
}

Test(arena, rewind_gives_back_large_pieces_and_keeps_what_was_before)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	char *kept = arena_c(&a, STR("kept"));
	struct arena_mark mark = arena_save(&a);
	size_t used = arena_used(&a);

	for (int i = 0; i < 50; i++) {
		memset(arena_alloc(&a, 100000), 1, 100000);
		memset(arena_alloc(&a, 100), 1, 100);
		arena_rewind(&a, mark);
		cr_assert_eq(arena_used(&a), used);
	}
	cr_assert_str_eq(kept, "kept");
}

Test(arena, a_limit_aborts, .signal = SIGABRT)
{
	struct arena a = { 0 };

	arena_set_limit(&a, 1000);
	(void) arena_alloc(&a, 500);
	(void) arena_alloc(&a, 501);
}

static void note_one(void *arg)
{
	++*(int *) arg;
}

Test(arena, cleared_it_begins_anew_with_the_chunk_it_kept)
{
	struct arena a = { 0 };
	char *first = arena_alloc(&a, 100), *again;
	int64_t live = live_get(LIVE_arenas);
	int freed = 0;

	(void) arena_alloc(&a, 100 * KIB); /* a chunk of its own: not kept */
	arena_defer(&a, note_one, &freed);
	arena_clear(&a);
	cr_assert_eq(freed, 1);
	cr_assert_eq(arena_used(&a), 0);
	cr_assert_eq(live_get(LIVE_arenas), live - 1);
	again = arena_alloc(&a, 100);
	cr_assert_eq(again, first);
	cr_assert_eq(live_get(LIVE_arenas), live);
	arena_clear(&a);
	arena_clear(&a); /* nothing was used: the chunk stays */
	cr_assert_eq(arena_alloc(&a, 10), first);
	arena_fini(&a);
	cr_assert_eq(live_get(LIVE_arenas), live - 1);
}

#ifdef __SANITIZE_ADDRESS__
Test(arena, what_is_not_handed_out_is_poisoned)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct arena_mark mark;
	char *at = arena_alloc(&a, 10), *next;

	cr_assert(!__asan_address_is_poisoned(at + 9));
	cr_assert(__asan_address_is_poisoned(at + 10));
	mark = arena_save(&a);
	next = arena_alloc(&a, 10);
	cr_assert(!__asan_address_is_poisoned(next));
	arena_rewind(&a, mark);
	cr_assert(__asan_address_is_poisoned(next));
}
#endif
