/*
 * fiber_stack.c - mapped, guarded, recycled stacks.
 *
 * A mapping, from its low end: a page that kills whoever touches it, the stack, and above the stack
 * the struct fiber itself.  An ended fiber's stack goes to its loop's idle ones, beyond a bound to
 * those of the process, beyond another back to the kernel; so a steady stream of fibers costs no
 * system call, and a burst does not keep its memory for ever.
 */
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loop/fiber-internal.h"
#include "loop/loop-internal.h"

#ifdef __SANITIZE_ADDRESS__
/* Frames are larger by their red zones. */
#define MAPPING_SIZE (4 * 256 * KIB)
#else
#define MAPPING_SIZE (256 * KIB)
#endif
#define PAGE (4 * KIB)

/*
 * Two kernel mappings each; vm.max_map_count is 65,530 as a rule, and a quarter of it is ours.
 */
#define STACKS_MOST        8192
#define IDLE_MOST_PER_LOOP 64
#define IDLE_MOST_SHARED   1024

/*
 * A stack that was used deeper than this gives the pages below back.  How deep it was is asked of
 * the kernel only every so many uses: a system call for each would cost more than the fiber.
 */
#define DEPTH_KEPT    (64 * KIB)
#define USES_PER_LOOK 1024

/*
 * All mappings end at addresses that are equal modulo a large power of two, so that the hot ends of
 * a thousand stacks would share a few sets of the caches.  Each begins its use a little lower than
 * the last.
 */
#define COLOURS     64
#define COLOUR_STEP 192

static pthread_mutex_t stacks_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fiber *all_stacks[STACKS_MOST]; /* under the lock, as the next three */
static size_t stack_count;
static struct list shared_idle = LIST_INIT(shared_idle);
static size_t shared_idle_count;
static _Atomic size_t high_water;

static void note_depth(size_t depth)
{
	size_t before = atomic_load_explicit(&high_water, memory_order_relaxed);

	while (depth > before && !atomic_compare_exchange_weak(&high_water, &before, depth))
		;
}

/* Bytes from the lowest page touched to the upper end. */
static size_t touched_depth(const struct fiber *f)
{
	unsigned char pages[MAPPING_SIZE / PAGE];

	if (mincore(f->mapping, MAPPING_SIZE, pages) < 0)
		return 0; /* a metric is not worth dying for */
	for (size_t i = 1; i < ARRAY_SIZE(pages); i++)
		if (pages[i] & 1)
			return MAPPING_SIZE - i * PAGE;
	return 0;
}

static struct fiber *stack_map(size_t number)
{
	size_t lowered = sizeof(struct fiber) + number % COLOURS * COLOUR_STEP;
	char *mapping;
	struct fiber *f;

	mapping = mmap(NULL, MAPPING_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (mapping == MAP_FAILED)
		return NULL;
	if (mprotect(mapping, PAGE, PROT_NONE) < 0) {
		munmap(mapping, MAPPING_SIZE);
		return NULL;
	}
	f = (struct fiber *) (void *) ((uintptr_t) (mapping + MAPPING_SIZE - lowered) &
				       ~(uintptr_t) 63);
	f->mapping = mapping;
	context_stack_added(&f->context, mapping + PAGE, (size_t) ((char *) f - mapping) - PAGE);
	list_init(&f->ready_link);
	list_init(&f->all_link);
	return f;
}

struct fiber *fiber_stack_take(struct scheduler *s)
{
	struct fiber *f = NULL;
	struct list *link = list_pop(&s->idle_stacks);

	if (likely(link != NULL)) {
		s->idle_count--;
		return list_entry(link, struct fiber, ready_link);
	}
	pthread_mutex_lock(&stacks_lock);
	link = list_pop(&shared_idle);
	if (link != NULL) {
		shared_idle_count--;
		f = list_entry(link, struct fiber, ready_link);
	} else if (stack_count < STACKS_MOST) {
		f = stack_map(stack_count);
		if (f != NULL) {
			f->place = stack_count;
			all_stacks[stack_count++] = f;
		}
	}
	pthread_mutex_unlock(&stacks_lock);
	return f;
}

/* Under the lock. */
static void stack_unmap(struct fiber *f)
{
	char *mapping = f->mapping;

	all_stacks[f->place] = all_stacks[--stack_count];
	all_stacks[f->place]->place = f->place;
	context_stack_removed(&f->context);
	munmap(mapping, MAPPING_SIZE);
}

static void give_shared(struct fiber *f)
{
	pthread_mutex_lock(&stacks_lock);
	if (shared_idle_count < IDLE_MOST_SHARED) {
		list_prepend(&shared_idle, &f->ready_link);
		shared_idle_count++;
	} else {
		stack_unmap(f);
	}
	pthread_mutex_unlock(&stacks_lock);
}

void fiber_stack_give(struct scheduler *s, struct fiber *f)
{
	if (unlikely(++f->uses % USES_PER_LOOK == 0)) {
		size_t depth = touched_depth(f);

		note_depth(depth);
		/* Nothing lives there: the fiber has ended, its struct lies at the other end. */
		if (depth > DEPTH_KEPT)
			(void) madvise(f->mapping + PAGE, MAPPING_SIZE - DEPTH_KEPT - PAGE,
				       MADV_DONTNEED);
	}
	if (s->idle_count < IDLE_MOST_PER_LOOP) {
		/* The one used last is the one whose pages are still in the caches. */
		list_prepend(&s->idle_stacks, &f->ready_link);
		s->idle_count++;
	} else {
		give_shared(f);
	}
}

void fiber_stack_give_all(struct scheduler *s)
{
	struct list *link;

	while ((link = list_pop(&s->idle_stacks)) != NULL)
		give_shared(list_entry(link, struct fiber, ready_link));
	s->idle_count = 0;
}

bool fiber_stack_is_guard(const struct fiber *f, const void *address)
{
	const char *at = address;

	return at >= f->mapping && at < f->mapping + PAGE;
}

size_t fiber_stack_high_water(void)
{
	pthread_mutex_lock(&stacks_lock);
	for (size_t i = 0; i < stack_count; i++)
		note_depth(touched_depth(all_stacks[i]));
	pthread_mutex_unlock(&stacks_lock);
	return atomic_load_explicit(&high_water, memory_order_relaxed);
}
