#include "queue/dead.h"

#include "base/codec.h"
#include "base/datetime.h"
#include "base/json.h"
#include "base/world.h"

void dead_letter_name(struct dead_letter *l)
{
	struct uuid u = uuid_v7();

	uuid_format(&u, l->name);
}

void dead_letter_record(struct buf *out, const struct dead_letter *l)
{
	_cleanup_(buf_fini) struct buf at = BUF_INIT;
	_cleanup_(arena_fini) struct arena arena;
	const struct {
		struct str key, value;
	} members[] = {
		{ STR("letter"), str_c(l->name) },
		{ STR("reason"), l->reason },
		{ STR("at"), STR("") },
		{ STR("queue"), l->queue },
		{ STR("list"), l->list },
		{ STR("task"), l->task },
		{ STR("id"), l->id },
		{ STR("worker"), l->worker },
	};
	struct json_writer w;

	arena_init(&arena);
	datetime_add_python(&at, now_realtime());
	json_writer_init(&w, out, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		json_put_key(&w, members[i].key);
		/* Names and reasons may carry bytes of a message that is no text. */
		json_put_str(&w, str_eq(members[i].key, STR("at"))
					 ? buf_str(&at)
					 : utf8_repair(&arena, members[i].value));
	}
	json_put_key(&w, STR("attempts"));
	json_put_i64(&w, l->attempts);
	json_end_object(&w);
}
