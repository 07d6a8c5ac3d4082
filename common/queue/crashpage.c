#include "queue/crashpage.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct crashpage_view {
	uint64_t beat;
	uint8_t started[];
};

static int map(struct crashpage *p, int fd)
{
	void *at = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	p->_view = at;
	return 0;
}

int crashpage_make(struct crashpage *p, uint32_t flights)
{
	int r;

	*p = (struct crashpage){ .size = sizeof(struct crashpage_view) + flights };
	p->fd = memfd_create("apium-crashpage", MFD_CLOEXEC);
	if (p->fd < 0)
		return -errno;
	r = ftruncate(p->fd, (off_t) p->size) < 0 ? -errno : map(p, p->fd);
	if (r < 0)
		close(p->fd);
	return r;
}

int crashpage_map(struct crashpage *p)
{
	struct stat st;
	int r;

	if (fstat(CRASHPAGE_FD, &st) < 0)
		return -errno;
	if (st.st_size < (off_t) sizeof(struct crashpage_view))
		return -EINVAL;
	*p = (struct crashpage){ .fd = -1, .size = (size_t) st.st_size };
	r = map(p, CRASHPAGE_FD);
	close(CRASHPAGE_FD);
	return r;
}

void crashpage_fini(struct crashpage *p)
{
	if (p->_view == NULL)
		return;
	munmap(p->_view, p->size);
	p->_view = NULL;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* Of a number that the page has no byte for, nothing is said. */
static uint8_t *byte_of(const struct crashpage *p, uint32_t number)
{
	return sizeof(struct crashpage_view) + number < p->size ? &p->_view->started[number] : NULL;
}

void crashpage_clear(struct crashpage *p, uint32_t number)
{
	uint8_t *byte = byte_of(p, number);

	if (byte != NULL)
		__atomic_store_n(byte, 0, __ATOMIC_RELEASE);
}

void crashpage_start(struct crashpage *p, uint32_t number)
{
	uint8_t *byte = byte_of(p, number);

	if (byte != NULL)
		__atomic_store_n(byte, 1, __ATOMIC_RELEASE);
}

bool crashpage_has_started(const struct crashpage *p, uint32_t number)
{
	uint8_t *byte = byte_of(p, number);

	return byte != NULL && __atomic_load_n(byte, __ATOMIC_ACQUIRE) != 0;
}

uint64_t crashpage_beats(const struct crashpage *p)
{
	return __atomic_load_n(&p->_view->beat, __ATOMIC_RELAXED);
}

uint64_t *crashpage_beat(struct crashpage *p)
{
	return &p->_view->beat;
}
