#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <jansson.h>
#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/world.h"

static struct buf lines;
static struct fake_world fake;

static void keep(void *arg, enum log_level level, struct str line)
{
	cr_assert(line.len <= 8 * KIB);
	buf_add_str(&lines, line);
	buf_add_byte(&lines, '\n');
}

static void divert(void)
{
	buf_init(&lines);
	fake_world_init(&fake, 1, 1769860800 * SEC + 5);
	world_set(&fake.world);
	log_divert(keep, NULL);
	log_setup(LOG_INFO, false, "prog");
}

static void undivert(void)
{
	log_context = NULL;
	log_divert(NULL, NULL);
	world_set(NULL);
	buf_fini(&lines);
}

TestSuite(log, .init = divert, .fini = undivert);

/* Without time, level and program, whose pid differs. */
static const char *tail(void)
{
	const char *at = strchr(lines.at, ']');

	cr_assert_not_null(at);
	return at + 2;
}

Test(log, text_has_time_level_sentence_pairs_and_context)
{
	static const struct log_context context = { .what = "request",
						    .id = "r-1",
						    .name = "GET /x" };

	log_context = &context;
	log_event(LOG_WARN, "slow", LOG_STR("path", STR("/a b")), LOG_INT("us", -5),
		  LOG_STR("empty", STR("")));
	cr_assert(str_starts(buf_str(&lines), STR("2026-01-31T12:00:00.000005Z warn  prog[")));
	cr_assert_str_eq(tail(),
			 "slow path=\"/a b\" us=-5 empty=\"\" request=r-1 name=\"GET /x\"\n");
}

Test(log, levels_above_the_most_are_silent)
{
	log_debug("never %d", 1);
	log_event(LOG_DEBUG, "never", LOG_INT("n", 1));
	cr_assert_eq(lines.len, 0);
	cr_assert(log_is_on(LOG_INFO) && !log_is_on(LOG_DEBUG));
	log_error("now");
	cr_assert_str_eq(tail(), "now\n");
}

Test(log, a_value_cannot_forge_a_line)
{
	log_info("from %s", "x\n2026 error prog: all is lost");
	log_event(LOG_INFO, "v", LOG_STR("k", STR("a\nb\" \x1b[31m=")));
	cr_assert_eq(str_find(buf_str(&lines), STR("\n2026 error")), -1);
	cr_assert(str_find(buf_str(&lines), STR("k=\"a\\nb\\\" \\x1b[31m=\"")) > 0);
}

Test(log, json_is_json_whatever_the_bytes)
{
	static const struct log_context context = { .what = "job", .id = "j\"1", .name = "task x" };
	json_error_t error;
	json_t *line;

	log_setup(LOG_INFO, true, "prog");
	log_context = &context;
	log_event(LOG_INFO, "do\"ne\n", LOG_STR("task", STR("\xff\x01 caf\xc3\xa9")),
		  LOG_INT("us", 12));
	line = json_loadb(lines.at, lines.len, 0, &error);
	cr_assert_not_null(line, "%s in %s", error.text, lines.at);
	cr_assert_str_eq(json_string_value(json_object_get(line, "time")),
			 "2026-01-31T12:00:00.000005Z");
	cr_assert_str_eq(json_string_value(json_object_get(line, "level")), "info");
	cr_assert_str_eq(json_string_value(json_object_get(line, "message")), "do\"ne\n");
	cr_assert_str_eq(json_string_value(json_object_get(line, "task")),
			 "\xef\xbf\xbd\x01 caf\xc3\xa9");
	cr_assert_eq(json_integer_value(json_object_get(line, "us")), 12);
	cr_assert_str_eq(json_string_value(json_object_get(line, "job")), "j\"1");
	cr_assert_str_eq(json_string_value(json_object_get(line, "name")), "task x");
	cr_assert_eq(json_integer_value(json_object_get(line, "pid")), getpid());
	json_decref(line);
}

Test(log, long_lines_are_cut_and_stay_well_formed)
{
	static char big[20000];
	static const struct log_context context = { .what = "job", .id = "the-id", .name = "n" };

	for (size_t i = 0; i + 4 < sizeof(big); i += 4)
		memcpy(big + i, "\"\xe2\x82\xac", 4);
	log_context = &context;
	for (int as_json = 0; as_json < 2; as_json++) {
		log_setup(LOG_INFO, as_json, "prog");
		for (size_t skip = 0; skip < 9; skip++) {
			buf_clear(&lines);
			log_event(LOG_INFO, big + skip * 4, LOG_STR("a", str_make(big, 19000)),
				  LOG_STR("b", str_make(big, 19000)),
				  LOG_STR("c", str_make(big, 19000)));
			cr_assert_eq(utf8_find_invalid(buf_str(&lines)), -1);
			cr_assert(str_find(buf_str(&lines), STR("the-id")) > 0);
			if (as_json) {
				json_t *line = json_loadb(lines.at, lines.len, 0, NULL);

				cr_assert_not_null(line, "%s", lines.at + lines.len - 100);
				json_decref(line);
			}
		}
	}
}

Test(log, one_write_a_line_and_errno_stays)
{
	int ends[2], stderr_copy = dup(STDERR_FILENO);
	char text[256];
	ssize_t n;

	log_divert(NULL, NULL);
	/* Datagrams: two writes would be two messages. */
	cr_assert_eq(pipe2(ends, O_DIRECT), 0);
	dup2(ends[1], STDERR_FILENO);
	errno = 77;
	log_info("hello %d", 1);
	cr_assert_eq(errno, 77);
	n = read(ends[0], text, sizeof(text));
	dup2(stderr_copy, STDERR_FILENO);
	cr_assert(n > 10);
	cr_assert(str_ends(str_make(text, (size_t) n), STR("hello 1\n")));
}
