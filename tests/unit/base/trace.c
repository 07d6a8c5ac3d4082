#include "base/trace.h"

#include <errno.h>

#include <criterion/criterion.h>

#define ID   "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

Test(trace, is_read_and_written)
{
	struct trace t;
	char text[TRACE_TEXT + 1];

	cr_assert_eq(trace_parse(STR("00-" ID "-" SPAN "-01"), &t), 0);
	cr_assert_str_eq(t.id, ID);
	cr_assert_str_eq(t.span, SPAN);
	cr_assert_eq(t.flags, 1);
	trace_format(&t, text);
	cr_assert_str_eq(text, "00-" ID "-" SPAN "-01");
	cr_assert(str_eq_c(trace_id_of(str_c(text)), ID));
}

Test(trace, what_is_none_is_refused)
{
	static const char *const bad[] = {
		"",
		"00-" ID "-" SPAN "-0",
		"00-" ID "-" SPAN "-01-more",
		"00-" ID "-" SPAN "-0g",
		"ff-" ID "-" SPAN "-01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
		"00-00000000000000000000000000000000-" SPAN "-01",
		"00-" ID "-0000000000000000-01",
		"00_" ID "-" SPAN "-01",
		"01-" ID "-" SPAN "-01more",
	};
	struct trace t = { .id = "kept" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(trace_parse(str_c(bad[i]), &t), -EINVAL, "%s", bad[i]);
		cr_assert_eq(trace_id_of(str_c(bad[i])).len, 0);
	}
	cr_assert_eq(trace_id_of(STR_NULL).len, 0);
	cr_assert_str_eq(t.id, "kept");
}

Test(trace, a_later_version_is_read_as_far_as_it_is_known)
{
	struct trace t;
	char text[TRACE_TEXT + 1];

	cr_assert_eq(trace_parse(STR("01-" ID "-" SPAN "-ff-what-comes"), &t), 0);
	trace_format(&t, text);
	cr_assert_str_eq(text, "00-" ID "-" SPAN "-01");
}

Test(trace, a_child_keeps_the_trace)
{
	struct trace root, other, child;

	trace_new(&root);
	trace_new(&other);
	trace_child(&root, &child);
	cr_assert_str_neq(root.id, other.id);
	cr_assert_str_eq(root.id, child.id);
	cr_assert_str_neq(root.span, child.span);
	cr_assert_eq(strlen(child.span), 16);
}
