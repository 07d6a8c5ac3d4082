#include "base/world.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

Test(world, the_real_one_moves_and_knows_the_year)
{
	usec_t a = now_monotonic(), b = now_monotonic();

	cr_assert(b >= a);
	cr_assert(now_realtime() > 1700000000 * SEC);
	cr_assert(now_realtime() - (usec_t) time(NULL) * SEC < 2 * SEC);
}

Test(world, a_fake_one_stands_still_and_repeats_itself)
{
	struct fake_world f;
	uint64_t first[8], second[8];
	usec_t start;

	fake_world_init(&f, 42, 1000 * SEC);
	world_set(&f.world);
	start = now_monotonic();
	cr_assert_eq(now_monotonic(), start);
	fake_world_advance(&f, 5 * SEC);
	cr_assert_eq(now_monotonic(), start + 5 * SEC);
	cr_assert_eq(now_realtime(), 1005 * SEC);
	random_bytes(first, sizeof(first));
	fake_world_init(&f, 42, 1000 * SEC);
	random_bytes(second, sizeof(second));
	cr_assert_arr_eq(first, second, sizeof(first));
	fake_world_init(&f, 43, 1000 * SEC);
	random_bytes(second, sizeof(second));
	cr_assert_arr_neq(first, second, sizeof(first));
	world_set(NULL);
	cr_assert_neq(now_realtime(), 1000 * SEC);
}

Test(world, numbers_below_a_bound_reach_all_of_it_evenly)
{
	int counts[7] = { 0 };

	cr_assert_eq(random_below(0), 0);
	cr_assert_eq(random_below(1), 0);
	for (int i = 0; i < 70000; i++)
		counts[random_below(7)]++;
	for (int i = 0; i < 7; i++)
		cr_assert(counts[i] > 9500 && counts[i] < 10500, "%d: %d", i, counts[i]);
}

Test(world, a_forked_child_draws_other_numbers)
{
	uint64_t ours, theirs;
	int ends[2];
	pid_t child;

	random_bytes(&ours, sizeof(ours)); /* fills what is kept for later draws */
	cr_assert_eq(pipe(ends), 0);
	child = fork();
	cr_assert_neq(child, -1);
	random_bytes(&ours, sizeof(ours));
	if (child == 0)
		_exit(write(ends[1], &ours, sizeof(ours)) != sizeof(ours));
	cr_assert_eq(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
	cr_assert_eq(waitpid(child, NULL, 0), child);
	cr_assert_neq(ours, theirs);
}
