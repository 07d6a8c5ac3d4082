#include "queue/schedule.h"

#include <criterion/criterion.h>

#include "base/world.h"

Test(schedule, members_of_equal_messages_differ)
{
	struct buf one = BUF_INIT, two = BUF_INIT;

	schedule_member(&one, 2, STR("m:x"));
	schedule_member(&two, 2, STR("m:x"));
	cr_assert(!str_eq(buf_str(&one), buf_str(&two)));
	cr_assert(str_starts(buf_str(&one), STR("2:")));
	cr_assert(str_ends(buf_str(&one), STR(":m:x")));
	cr_assert_eq(one.len, 2 + 16 + 1 + 3);
	buf_fini(&one);
	buf_fini(&two);
}
