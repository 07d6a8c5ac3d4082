/*
 * apium-beat: the application's schedules; the rest is the library's (beat/beat.h).
 *
 * To add one: a row here.  Schedules that operators make are rows in PostgreSQL (`apium schedule`).
 */
#include "beat/beat.h"
#include "proto/auth_purge_tokens.h"
#include "proto/tasks.h"

/* clang-format off */
static const struct schedule schedules[] = {
	{ .name = "purge-expired-tokens", .task = &auth_purge_tokens_task, .crontab = "0 2 * * *", .skips_overlap = true },
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct beat_program program = {
		.name = "apium-beat",
		.version = APIUM_VERSION,
		.prepare = tasks_register,
		BEAT_SCHEDULES(schedules),
	};

	return beat_main(argc, argv, &program);
}
