#include "queue/health.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/world.h"
#include "queue/supervisor-internal.h"

#define PERIOD     (1 * SEC)
#define FILE_FRESH (5 * SEC)
#define POLL_FRESH (15 * SEC)

static const char *path;

static const struct setting rows[] = {
	{ "APIUM_HEALTH_FILE", SETTING_TEXT, &path, "", 0, 0, 0,
	  "File that a worker or beat keeps for its `health`; empty: none." },
};

void health_settings(void)
{
	settings_register(rows, ARRAY_SIZE(rows));
}

/* The oldest last answer of the lanes; USEC_NEVER when one has none or is not open. */
static usec_t slowest(struct supervisor *s, unsigned *ret_open)
{
	usec_t now = loop_now(s->loop), worst = 0;

	*ret_open = 0;
	for (unsigned i = 0; i < s->lane_count; i++) {
		usec_t at;

		if (s->lanes[i] == NULL)
			continue;
		at = lane_polled_at(s->lanes[i]);
		*ret_open += lane_is_open(s->lanes[i]);
		if (at == 0)
			worst = USEC_NEVER;
		else if (worst != USEC_NEVER)
			worst = MAX(worst, now - at);
	}
	return worst;
}

void health_put(const char *line)
{
	_cleanup_(buf_fini) struct buf temporary = BUF_INIT;
	FILE *file;

	if (path[0] == '\0')
		return;
	buf_printf(&temporary, "%s.new", path);
	file = fopen(temporary.at, "we");
	if (file == NULL) {
		log_warn("%s cannot be written: %s, ignoring", temporary.at,
			 error_sentence(-errno));
		return;
	}
	fprintf(file, "%s\n", line);
	if (fclose(file) != 0 || rename(temporary.at, path) < 0)
		log_warn("%s cannot be replaced: %s, ignoring", path, error_sentence(-errno));
}

void health_write(struct supervisor *s)
{
	char line[256];
	unsigned open;
	usec_t worst;

	if (path[0] == '\0' || s->lane_count == 0 || loop_now(s->loop) - s->health_at < PERIOD)
		return;
	s->health_at = loop_now(s->loop);
	worst = slowest(s, &open);
	(void) snprintf(line, sizeof(line),
			"{\"polled_ms\": %" PRId64
			", \"lanes_open\": %u, \"lanes\": %u, \"out\": %u, \"state\": \"%s\"}",
			worst == USEC_NEVER ? -1 : worst / MSEC, open, s->lane_count,
			s->is_crew_gone ? 0 : crew_out(s->crew), sm_name(&s->sm));
	health_put(line);
}

static int unhealthy(const char *why)
{
	printf("unhealthy: %s\n", why);
	return EXIT_FAILURE;
}

int health_judge(const char *member, usec_t most, const char *why)
{
	_cleanup_(arena_fini) struct arena arena;
	char text[512];
	struct json_error e;
	struct json *tree;
	struct stat st;
	int64_t ago;
	size_t len;
	FILE *file;

	arena_init(&arena);
	if (path[0] == '\0')
		return unhealthy("APIUM_HEALTH_FILE is not set");
	file = fopen(path, "re");
	if (file == NULL)
		return unhealthy("there is no health file");
	len = fread(text, 1, sizeof(text), file);
	if (fstat(fileno(file), &st) < 0)
		len = 0;
	fclose(file);
	if (json_parse(&arena, str_make(text, len), JSON_STRICT, 4, &tree, &e) < 0 ||
	    json_get(tree, str_c(member)) == NULL ||
	    json_to_i64(json_get(tree, str_c(member)), &ago) < 0)
		return unhealthy("the health file cannot be read");
	if (now_realtime() - st.st_mtim.tv_sec * SEC > FILE_FRESH)
		return unhealthy("nobody writes the health file any more");
	if (ago < 0 || ago * MSEC > most)
		return unhealthy(why);
	printf("healthy: %.*s", (int) len, text);
	return EXIT_SUCCESS;
}

int health_main(void)
{
	return health_judge("polled_ms", POLL_FRESH, "no fetch was answered lately");
}
