#include "queue/keys.h"

#include "base/error.h"
#include "base/settings.h"

#define SEPARATOR "\x06\x16"

struct steps {
	const char *from; /* the setting's text that they were read from */
	int count;
	int64_t priorities[QUEUE_STEPS_MOST];
};

#define USUAL_STEPS                                                                                \
	{                                                                                          \
		.count = 4, .priorities = { 0, 3, 6, 9 }                                           \
	}

/* Numbers that rise from 0. */
static int read_steps(const char *text, struct steps *ret)
{
	struct str rest = str_c(text), item;
	struct steps s = { .from = text };

	while (settings_next_item(&rest, &item)) {
		int64_t *next = &s.priorities[s.count];

		if (s.count == QUEUE_STEPS_MOST)
			return fail(-E_BAD_SETTING, "APIUM_PRIORITY_STEPS has more than %d steps",
				    QUEUE_STEPS_MOST);
		if (str_to_i64(item, next) < 0 ||
		    (s.count == 0 ? *next != 0 : *next <= next[-1] || *next > 255))
			return fail(-E_BAD_SETTING,
				    "APIUM_PRIORITY_STEPS=%s: not numbers that rise "
				    "from 0 to at most 255",
				    text);
		s.count++;
	}
	if (s.count == 0)
		return fail(-E_BAD_SETTING, "APIUM_PRIORITY_STEPS is empty");
	*ret = s;
	return 0;
}

/* Read anew when the settings are loaded, by each thread for itself. */
static const struct steps *steps(void)
{
	static _Thread_local struct steps read = USUAL_STEPS;
	const char *text = settings.priority_steps;

	if (text != NULL && text != read.from && read_steps(text, &read) < 0) {
		fail_clear(); /* queue_keys_init tells of it */
		read = (struct steps) USUAL_STEPS;
		read.from = text;
	}
	return &read;
}

static const char *separator(void)
{
	const char *text = settings.priority_separator;

	return text == NULL || text[0] == '\0' ? SEPARATOR : text;
}

int queue_steps(void)
{
	return steps()->count;
}

int queue_step(int64_t priority)
{
	const struct steps *s = steps();
	int step = s->count - 1;

	while (step > 0 && priority < s->priorities[step])
		step--;
	return step;
}

int queue_step_priority(int step)
{
	const struct steps *s = steps();

	must(step >= 0 && step < s->count);
	return (int) s->priorities[step];
}

/* Redis hashes what stands between the first '{' and the next '}', unless that is nothing. */
static bool has_hash_tag(struct str queue)
{
	ptrdiff_t open = str_find_char(queue, '{'), close;

	if (open < 0)
		return false;
	close = str_find_char(str_slice(queue, (size_t) open + 1, queue.len), '}');
	return close > 0;
}

static int check_name(struct str queue)
{
	if (queue.len == 0 || queue.len > QUEUE_NAME_MOST)
		return fail(-E_BAD_SETTING, "a queue's name has 1 to %d bytes, not %zu",
			    QUEUE_NAME_MOST, queue.len);
	for (size_t i = 0; i < queue.len; i++)
		if ((unsigned char) queue.at[i] <= ' ' || queue.at[i] == 0x7f)
			return fail(-E_BAD_SETTING,
				    "a queue's name has no spaces or control characters");
	/* Inside our braces a lone one would end the tag early, and the queue's keys would part. */
	if (!has_hash_tag(queue) &&
	    (str_find_char(queue, '{') >= 0 || str_find_char(queue, '}') >= 0))
		return fail(-E_BAD_SETTING, "queue %.*s: a brace that is no hash tag",
			    STR_ARG(queue));
	return 0;
}

/* Without the settings (a test, say) there is none. */
static const char *broker_prefix(void)
{
	return settings.key_prefix == NULL ? "" : settings.key_prefix;
}

static struct str queue_list_name(struct arena *arena, struct str queue)
{
	return arena_printf(arena, "%s%.*s", broker_prefix(), STR_ARG(queue));
}

int queue_keys_init(struct queue_keys *k, struct arena *arena, struct str queue)
{
	struct str list = queue_list_name(arena, queue), p;
	struct steps steps;
	int r = check_name(queue);

	if (r == 0)
		r = check_name(list);
	if (r == 0 && settings.priority_steps != NULL)
		r = read_steps(settings.priority_steps, &steps);
	if (r < 0)
		return r;
	k->queue = arena_str(arena, queue);
	p = has_hash_tag(list) ? arena_printf(arena, "apium:%.*s:", STR_ARG(list))
			       : arena_printf(arena, "apium:{%.*s}:", STR_ARG(list));
	k->prefix = p;
	k->lists[0] = list;
	for (int i = 1; i < queue_steps(); i++)
		k->lists[i] = arena_printf(arena, "%.*s%s%d", STR_ARG(list), separator(),
					   queue_step_priority(i));
	k->workers = arena_printf(arena, "%.*sworkers", STR_ARG(p));
	k->schedule = arena_printf(arena, "%.*sschedule", STR_ARG(p));
	k->crash = arena_printf(arena, "%.*scrash", STR_ARG(p));
	k->dead = arena_printf(arena, "%.*sdead", STR_ARG(p));
	k->letters = arena_printf(arena, "%.*sletters", STR_ARG(p));
	k->live = arena_printf(arena, "%.*slive", STR_ARG(p));
	k->epoch = arena_printf(arena, "%.*sepoch", STR_ARG(p));
	return 0;
}

void queue_book_init(struct queue_book *b)
{
	arena_init(&b->_arena);
	map_init(&b->_by_name);
}

void queue_book_fini(struct queue_book *b)
{
	map_fini(&b->_by_name);
	arena_fini(&b->_arena);
}

int queue_book_find(struct queue_book *b, struct str name, const struct queue_keys **ret)
{
	struct queue_keys *k = map_find(&b->_by_name, name);
	int r;

	if (k == NULL) {
		if (map_count(&b->_by_name) == QUEUE_BOOK_MOST)
			return fail(-E_BAD_SETTING, "more than %d queues", QUEUE_BOOK_MOST);
		r = check_name(name); /* before anything is kept */
		if (r < 0)
			return r;
		k = arena_new(&b->_arena, struct queue_keys);
		r = queue_keys_init(k, &b->_arena, name);
		must(r == 0);
		(void) map_put(&b->_by_name, k->queue, k);
	}
	*ret = k;
	return 0;
}

void queue_key_fly(struct buf *out, const struct queue_keys *k, struct str token)
{
	buf_add_str(out, k->prefix);
	buf_add_c(out, "fly:");
	buf_add_str(out, token);
}

void queue_key_receipt(struct buf *out, const struct queue_keys *k, struct str key)
{
	buf_add_str(out, k->prefix);
	buf_add_c(out, "receipt:");
	buf_add_str(out, key);
}

static void add_result_prefix(struct buf *out)
{
	const char *prefix = settings.result_prefix == NULL ? "" : settings.result_prefix;
	size_t len = strlen(prefix);

	buf_add_c(out, prefix);
	if (len > 0 && strchr(":_-.", prefix[len - 1]) == NULL)
		buf_add_byte(out, '_');
}

void queue_key_result(struct buf *out, struct str id)
{
	add_result_prefix(out);
	buf_add_c(out, "celery-task-meta-");
	buf_add_str(out, id);
}

void queue_key_chord(struct buf *out, struct str group, const char *suffix)
{
	add_result_prefix(out);
	buf_add_c(out, "celery-taskset-meta-");
	buf_add_str(out, group);
	buf_add_c(out, suffix);
}

void queue_key_broker(struct buf *out, const char *name)
{
	buf_add_c(out, broker_prefix());
	buf_add_c(out, name);
}

void queue_binding(struct buf *key, struct buf *member, const char *set, struct str queue)
{
	queue_key_broker(key, set);
	buf_add_str(key, queue);
	queue_binding_member(member, queue, queue);
}

void queue_binding_member(struct buf *out, struct str routing_key, struct str queue)
{
	buf_printf(out, "%.*s%s%s%.*s", STR_ARG(routing_key), separator(), separator(),
		   STR_ARG(queue));
}

/* Cuts off what stands before the first separator. */
static bool cut_part(struct str *rest, struct str *ret)
{
	ptrdiff_t at = str_find(*rest, str_c(separator()));

	if (at < 0)
		return false;
	*ret = str_slice(*rest, 0, (size_t) at);
	*rest = str_slice(*rest, (size_t) at + strlen(separator()), rest->len);
	return true;
}

bool queue_binding_read(struct str member, struct str *ret_routing_key, struct str *ret_queue)
{
	struct str routing_key, pattern;

	if (!cut_part(&member, &routing_key) || !cut_part(&member, &pattern))
		return false;
	*ret_routing_key = routing_key;
	*ret_queue = member;
	return true;
}
