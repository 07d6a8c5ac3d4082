#include "fuzz.h"

#include "queue/follow.h"
#include "queue/signature.h"

/* What follows a job, packed and taken out again, is the same. */
static void check_packed(struct arena *a, struct queue_book *book, const struct follow *f)
{
	_cleanup_(buf_fini) struct buf packed = BUF_INIT;
	struct follow again;

	follow_pack(&packed, f);
	follow_init(&again, a, book);
	must(follow_unpack(&again, buf_str(&packed)) == 0);
	must(again.count == f->count && again.part.index == f->part.index);
	for (size_t i = 0; i < f->count; i++)
		must(str_eq(again.effects[i].key, f->effects[i].key) &&
		     str_eq(again.effects[i].payload, f->effects[i].payload));
	follow_fini(&again);
}

static void follow_both(struct arena *a, struct queue_book *book, const struct body_embed *embed)
{
	const struct follow_job job = { .id = STR("id"), .group = STR("group"), .group_index = 0 };
	const struct follow_failure failure = { .state = RESULT_FAILURE,
						.exception = &result_job_error,
						.message = STR("why") };
	struct follow f;

	for (int failed = 0; failed < 2; failed++) {
		follow_init(&f, a, book);
		if ((failed ? follow_failure(&f, &job, embed, &failure)
			    : follow_success(&f, &job, embed, STR("1"))) == 0) {
			must(f.count <= 3 * CANVAS_MOST);
			check_packed(a, book, &f);
		}
		follow_fini(&f);
	}
	if (embed->chord != NULL) {
		follow_init(&f, a, book);
		must(follow_chord(&f, &job, embed->chord->text, STR("[1, 2]")) <= 0);
		must(follow_chord_failure(&f, &job, embed->chord->text, &failure) <= 0);
		follow_fini(&f);
	}
}

/* A body of protocol 2, decoded: [args, kwargs, embed]. */
void fuzz_canvas(struct str input)
{
	_cleanup_(arena_fini) struct arena a;
	struct queue_book book;
	struct body body;

	arena_init(&a);
	if (body_parse(&a, input, &body) < 0 || follow_check(&a, &body.embed) < 0)
		return;
	queue_book_init(&book);
	follow_both(&a, &book, &body.embed);
	queue_book_fini(&book);
}
