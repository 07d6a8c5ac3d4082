#include <criterion/criterion.h>

#include "resource/resource.h"

/* Expected values from django.utils.text.slugify. */
Test(slug, slugify_is_djangos)
{
	static const struct {
		const char *text, *slug;
	} cases[] = {
		{ "Harbour at Dusk", "harbour-at-dusk" },
		{ "  --Hello,   World!--  ", "hello-world" },
		{ "Größe & Maß", "groe-ma" },
		{ "Crème brûlée", "creme-brulee" },
		{ "a_b -- c", "a_b-c" },
		{ "日本", "" },
		{ "___", "" },
		{ "ÀÉÎ Łódź", "aei-odz" },
		{ "tab\there", "tab-here" },
	};
	struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str got = slugify(&arena, str_c(cases[i].text));

		cr_expect(str_eq_c(got, cases[i].slug), "%s gave %.*s", cases[i].text,
			  STR_ARG(got));
	}
	arena_fini(&arena);
}
