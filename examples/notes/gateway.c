#include "gateway/gateway.h"
#include "gateway/health.h"
#include "notes.h"

static const struct field fields[] = {
	FIELD("id", KEY),
	FIELD("text", TEXT, REQUIRED, LENGTH(10000)),
	FIELD("words", INTEGER, NULLABLE, READ_ONLY),
};
static const struct permission permissions[] = { ALLOW(ANYONE, MAY_ALL) };

/* The row is written, the transaction open: the job is part of it. */
static int saved(struct change *c)
{
	struct notes_count_arguments arguments;
	int r = row_get_i64(c->row, "id", &arguments.note);

	return r < 0 ? r : change_enqueue(c, &notes_count_task, &arguments);
}

static const struct resource note = {
	.name = "note",
	.model = "Note",
	.path = "notes/",
	.table = "notes",
	.help = "A text, and how many words it has.",
	.key = RESOURCE_BIGINT,
	FIELDS(fields),
	PERMISSIONS(permissions),
	.order = "t.id",
	.hooks = { .saved = saved },
};

int main(int argc, char **argv)
{
	static const struct resource *const resources[] = { &note };
	static const struct route routes[] = { HEALTH_ROUTES };
	static const struct task *const tasks[] = { &notes_count_task };
	static const struct gateway_program program = {
		.name = "notes-gateway",
		.version = "1",
		GATEWAY_RESOURCES(resources),
		GATEWAY_ROUTES(routes),
		GATEWAY_TASKS(tasks),
	};

	return gateway_main(argc, argv, &program);
}
