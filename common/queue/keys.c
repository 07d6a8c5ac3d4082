#include "queue/keys.h"

#include "base/error.h"
#include "base/settings.h"

static const struct {
	int priority;
	const char *suffix;
} steps[QUEUE_STEPS] = {
	{ 0, "" },
	{ 3, "\x06\x16"
	     "3" },
	{ 6, "\x06\x16"
	     "6" },
	{ 9, "\x06\x16"
	     "9" },
};

int queue_step(int64_t priority)
{
	int step = QUEUE_STEPS - 1;

	while (step > 0 && priority < steps[step].priority)
		step--;
	return step;
}

int queue_step_priority(int step)
{
	must(step >= 0 && step < QUEUE_STEPS);
	return steps[step].priority;
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
	int r = check_name(queue);

	if (r == 0)
		r = check_name(list);
	if (r < 0)
		return r;
	k->queue = arena_str(arena, queue);
	p = has_hash_tag(list) ? arena_printf(arena, "apium:%.*s:", STR_ARG(list))
			       : arena_printf(arena, "apium:{%.*s}:", STR_ARG(list));
	k->prefix = p;
	for (int i = 0; i < QUEUE_STEPS; i++)
		k->lists[i] = arena_printf(arena, "%.*s%s", STR_ARG(list), steps[i].suffix);
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
	buf_printf(member, "%.*s\x06\x16\x06\x16%.*s", STR_ARG(queue), STR_ARG(queue));
}
