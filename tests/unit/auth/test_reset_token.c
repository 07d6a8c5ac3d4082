#include <criterion/criterion.h>

#include "auth/reset_token.h"
#include "auth/vectors.h"
#include "base/buf.h"
#include "base/world.h"

#define NOW    ((usec_t) 1700000000 * SEC) /* 2023-11-14 22:13:20 */
#define SECRET STR(VECTOR_SECRET)

static struct arena arena;
static struct fake_world world;

static const struct reset_subject ann = { .id = STR_INIT(VECTOR_USER),
					  .password = STR_INIT(VECTOR_STORED),
					  .email = STR_INIT(VECTOR_EMAIL),
					  .last_login = STR_INIT("2023-11-14 22:13:19") };

static void setup(void)
{
	arena_init(&arena);
	fake_world_init(&world, 1, NOW);
	world_set(&world.world);
}

static void teardown(void)
{
	world_set(NULL);
	arena_fini(&arena);
}

TestSuite(reset_token, .init = setup, .fini = teardown);

Test(reset_token, is_django_s)
{
	struct reset_subject never = ann;

	never.last_login = STR("");
	cr_expect_str_eq(reset_token_make(&arena, SECRET, &ann).at, VECTOR_TOKEN);
	cr_expect_str_eq(reset_token_make(&arena, SECRET, &never).at, VECTOR_TOKEN_NEVER);
	cr_expect(reset_token_check(&arena, SECRET, &ann, STR(VECTOR_TOKEN)));
}

Test(reset_token, ends_with_any_change)
{
	static const struct {
		const char *what;
		struct reset_subject changed;
	} rows[] = {
		{ "another user",
		  { STR_INIT("0190a0a0-0000-7000-8000-000000000002"), STR_INIT(VECTOR_STORED),
		    STR_INIT(VECTOR_EMAIL), STR_INIT("2023-11-14 22:13:19") } },
		{ "a new password",
		  { STR_INIT(VECTOR_USER), STR_INIT("argon2$new"), STR_INIT(VECTOR_EMAIL),
		    STR_INIT("2023-11-14 22:13:19") } },
		{ "a new address",
		  { STR_INIT(VECTOR_USER), STR_INIT(VECTOR_STORED), STR_INIT("bob@example.com"),
		    STR_INIT("2023-11-14 22:13:19") } },
		{ "a later login",
		  { STR_INIT(VECTOR_USER), STR_INIT(VECTOR_STORED), STR_INIT(VECTOR_EMAIL),
		    STR_INIT("2023-11-14 22:13:20") } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect(!reset_token_check(&arena, SECRET, &rows[i].changed, STR(VECTOR_TOKEN)),
			  "%s", rows[i].what);
	cr_expect(!reset_token_check(&arena, STR("another secret"), &ann, STR(VECTOR_TOKEN)));
}

Test(reset_token, lives_three_days)
{
	fake_world_advance(&world, RESET_TOKEN_LIFETIME);
	cr_expect(reset_token_check(&arena, SECRET, &ann, STR(VECTOR_TOKEN)));
	fake_world_advance(&world, SEC);
	cr_expect(!reset_token_check(&arena, SECRET, &ann, STR(VECTOR_TOKEN)));
}

Test(reset_token, refuses_what_is_none)
{
	static const char *const texts[] = { "",
					     "-",
					     "x",
					     "bxodq8",
					     "bxodq8-",
					     "-6e7615fd9f65a6e3a81865a1cce8b054",
					     VECTOR_TOKEN "0",
					     VECTOR_TOKEN "-",
					     "BXODQ8-6e7615fd9f65a6e3a81865a1cce8b054",
					     "zzzzzzzzzzzzz-6e7615fd9f65a6e3a81865a1cce8b054",
					     "bxodq9-6e7615fd9f65a6e3a81865a1cce8b054" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_expect(!reset_token_check(&arena, SECRET, &ann, str_c(texts[i])), "%s",
			  texts[i]);
}
