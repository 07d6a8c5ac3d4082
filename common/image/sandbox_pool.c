#include "image/sandbox.h"

#include <endian.h>
#include <signal.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/sandbox-internal.h"
#include "loop/channel.h"
#include "loop/process.h"

#define PICTURES_PER_CHILD 100
#define POOL_MAGIC         UINT32_C(0x53424f58)

struct sandbox_pool {
	uint32_t magic;
	struct loop *loop;
	const char *program;
	struct semaphore places;
	struct list idle; /* children without a picture, newest first */
	unsigned children;
	bool is_closing;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

/*
 * A child, from its start until both its exit status and the end of its stream are known.  `asking`
 * is the fiber's record while a picture is with it.
 */
struct child {
	struct sandbox_pool *pool;
	struct list link;
	struct process process;
	struct channel *channel;
	unsigned served;
	bool has_exited, has_channel_ended;
	bool is_lent; /* a fiber holds it: it is not freed meanwhile */
	struct asking *asking;
};

struct asking {
	struct waiter waiter;
	struct arena *arena;
	struct sandbox_variant made[IMAGE_VARIANT_COUNT];
	size_t count;
	struct str refusal;
	bool is_answered;
};

static void answer(struct child *c, int result)
{
	if (c->asking == NULL)
		return;
	fiber_wake(&c->asking->waiter, result);
	c->asking = NULL;
}

static void pool_check_closed(struct sandbox_pool *pool)
{
	if (!pool->is_closing || pool->children > 0)
		return;
	void (*on_closed)(void *) = pool->on_closed;
	void *arg = pool->on_closed_arg;

	pool->magic = 0;
	free(pool);
	if (on_closed != NULL)
		on_closed(arg);
}

static void on_channel_closed(void *arg)
{
	struct child *c = arg;
	struct sandbox_pool *pool = c->pool;

	list_remove(&c->link);
	free(c);
	pool->children--;
	pool_check_closed(pool);
}

/* The status says why, the stream that all frames were read: both are needed before the fiber hears
 * of it. */
static void child_check_gone(struct child *c)
{
	if (!c->has_exited || !c->has_channel_ended)
		return;
	answer(c, -E_SANDBOX);
	if (!c->is_lent)
		channel_close(c->channel, on_channel_closed);
}

static void on_exit_of_child(struct process *p, int exit_code, int signal)
{
	struct child *c = p->arg;

	(void) exit_code; /* what matters is whether it answered; it logged its own failure */
	c->has_exited = true;
	if (c->asking != NULL && signal != 0 && signal != SIGKILL) {
		c->asking->refusal = arena_printf(
			c->asking->arena, "Invalid image file: decoding it ended its process (%s)",
			strsignal(signal));
		c->asking->is_answered = true;
	}
	child_check_gone(c);
}

static void on_channel_end(void *arg, int error)
{
	struct child *c = arg;

	(void) error; /* the exit status tells more */
	c->has_channel_ended = true;
	list_remove(&c->link);
	process_kill(&c->process, SIGKILL);
	child_check_gone(c);
}

static void read_variant(struct asking *a, struct str payload)
{
	uint32_t size[2];

	if (a->count == IMAGE_VARIANT_COUNT || payload.len < sizeof(size))
		return;
	memcpy(size, payload.at, sizeof(size));
	a->made[a->count++] = (struct sandbox_variant){
		.width = le32toh(size[0]),
		.height = le32toh(size[1]),
		.bytes = arena_str(a->arena, str_slice(payload, sizeof(size), payload.len)),
	};
}

static void on_frame(void *arg, uint8_t kind, struct str payload)
{
	struct child *c = arg;
	struct asking *a = c->asking;

	if (a == NULL)
		return; /* its fiber has left; the child is being ended */
	if (kind == SANDBOX_VARIANT) {
		read_variant(a, payload);
		return;
	}
	if (kind == SANDBOX_REFUSED)
		a->refusal = arena_str(a->arena, payload);
	a->is_answered = true;
	answer(c, 0);
}

static const struct channel_callbacks callbacks = { .on_frame = on_frame,
						    .on_end = on_channel_end };

static int child_start(struct sandbox_pool *pool, struct child **ret)
{
	const char *const argv[] = { pool->program, "sandbox", NULL };
	static const char *const no_environment[] = { NULL };
	const struct process_options options = { .file = pool->program,
						 .argv = argv,
						 .env = no_environment };
	struct child *c = calloc(1, sizeof(*c));
	int r;

	must(c != NULL);
	c->pool = pool;
	list_init(&c->link);
	r = process_start(pool->loop, &c->process, &options, on_exit_of_child, c);
	if (r < 0) {
		free(c);
		return fail(-E_SANDBOX, "%s cannot be started: %s", pool->program,
			    error_sentence(r));
	}
	int fd = c->process.channel;
	c->process.channel = -1;
	r = channel_open(pool->loop, fd, SANDBOX_FRAME_MOST, &callbacks, c, &c->channel);
	must(r == 0); /* a fresh descriptor of ours */
	pool->children++;
	*ret = c;
	return 0;
}

int sandbox_pool_new(struct loop *loop, const char *program, unsigned most,
		     struct sandbox_pool **ret)
{
	struct sandbox_pool *pool = calloc(1, sizeof(*pool));

	must(pool != NULL && most > 0);
	pool->magic = POOL_MAGIC;
	pool->loop = loop;
	pool->program = program;
	semaphore_init(&pool->places, most);
	list_init(&pool->idle);
	*ret = pool;
	return 0;
}

void sandbox_pool_close(struct sandbox_pool *pool, void (*on_closed)(void *arg), void *arg)
{
	OBJ_CHECK(pool, POOL_MAGIC);
	pool->is_closing = true;
	pool->on_closed = on_closed;
	pool->on_closed_arg = arg;
	list_for_each (node, &pool->idle)
		process_kill(&list_entry(node, struct child, link)->process, SIGKILL);
	pool_check_closed(pool);
}

static int take_child(struct sandbox_pool *pool, struct child **ret)
{
	struct list *node = list_pop(&pool->idle);

	if (node == NULL)
		return child_start(pool, ret);
	*ret = list_entry(node, struct child, link);
	return 0;
}

static void give_child(struct child *c, bool is_usable)
{
	c->is_lent = false;
	if (c->has_exited || c->has_channel_ended)
		child_check_gone(c);
	else if (!is_usable || ++c->served >= PICTURES_PER_CHILD || c->pool->is_closing)
		process_kill(&c->process, SIGKILL);
	else
		list_prepend(&c->pool->idle, &c->link);
}

static int ask_child(struct child *c, struct asking *a, struct str bytes)
{
	int r;

	waiter_init(&a->waiter);
	c->asking = a;
	c->is_lent = true;
	channel_send(c->channel, SANDBOX_PICTURE, bytes, STR(""));
	r = fiber_park(&a->waiter, "the sandbox");
	bool was_left = c->asking ==
			a; /* cancelled, or out of time: its answer would have no reader */
	c->asking = NULL;
	give_child(c, !was_left && r == 0);
	if (was_left)
		return r;
	if (a->is_answered && !str_is_null(a->refusal))
		return fail(-E_BAD_IMAGE, "%.*s", STR_ARG(a->refusal));
	if (a->is_answered && a->count == IMAGE_VARIANT_COUNT)
		return 0;
	return r < 0 ? r : fail(-E_SANDBOX, "the sandbox answered with %zu variants", a->count);
}

int sandbox_make_variants(struct sandbox_pool *pool, struct arena *arena, struct str bytes,
			  struct sandbox_variant ret[IMAGE_VARIANT_COUNT])
{
	struct asking *a = arena_new(arena, struct asking);
	struct child *c = NULL;
	int r;

	OBJ_CHECK(pool, POOL_MAGIC);
	must(bytes.len <= IMAGE_BYTES_MOST);
	a->arena = arena;
	r = semaphore_take(&pool->places, "a sandbox");
	if (r < 0)
		return r;
	r = take_child(pool, &c);
	if (r == 0)
		r = ask_child(c, a, bytes);
	semaphore_give(&pool->places);
	if (r < 0)
		return r;
	memcpy(ret, a->made, sizeof(a->made));
	return 0;
}
