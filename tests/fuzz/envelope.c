#include "fuzz.h"

#include "queue/body.h"
#include "queue/message.h"

static void fuzz_parts(struct arena *a, const struct message *m)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	const struct message_change change = { .retries = 2, .is_redelivered = true };
	struct message again;
	struct str text;
	usec_t hard, soft;
	struct body body;

	for (unsigned f = 0; f < MESSAGE_TEXTS; f++)
		(void) message_text(a, m, (enum message_field) f);
	message_limits(m, &hard, &soft);
	must(hard >= 0 && soft >= 0 && m->retries >= 0);
	if (body_text(a, m, &text) == 0)
		must(body_parse(a, text, &body) <= 0);
	if (message_rewrite(a, m->raw, &change, &out) == 0) {
		must(message_scan(buf_str(&out), &again) == 0);
		must(again.retries == 2 && again.is_redelivered);
	}
}

void fuzz_envelope(struct str input)
{
	_cleanup_(arena_fini) struct arena a;
	struct message m;
	struct str second;

	arena_init(&a);
	if (message_scan(input, &m) < 0)
		return;
	fuzz_parts(&a, &m);
	if (message_from_v1(&a, &m, &second) == 0)
		must(message_scan(second, &m) == 0);
}
