#include "loop/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE   (64 * KIB)
/* u32 length, u8 kind; the length counts the kind and the payload. */
#define LENGTH_SIZE 4
#define HEAD_SIZE   5
/* Buffers that a burst made larger than this are not kept. */
#define KEPT_SIZE   (1 * MIB)

#define CHANNEL_MAGIC UINT32_C(0x6368616e)

struct channel {
	uint32_t magic;
	struct loop *loop;
	uv_poll_t poll;
	int fd;
	size_t most;
	const struct channel_callbacks *callbacks;
	void *arg;
	struct buf in; /* begins with a frame that is not whole yet */
	struct buf out;
	size_t out_at;   /* what stands before it has been written */
	size_t frame_at; /* of the frame begun; SIZE_MAX: none */
	struct flush flush;
	bool is_waiting; /* until the socket takes more */
	bool is_deaf;    /* the peer reads no more; what it wrote may still lie there */
	bool has_ended;  /* on_end was called */
	int write_error; /* why it is deaf, if the peer is not the reason */
	bool is_closed;
	void (*on_closed)(void *arg);
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct channel *c)
{
	int events = UV_READABLE | (c->is_waiting ? UV_WRITABLE : 0);

	must(uv_poll_start(&c->poll, events, on_poll) == 0);
}

static void end(struct channel *c, int error)
{
	if (c->has_ended || c->is_closed)
		return;
	c->has_ended = true;
	c->is_deaf = true;
	uv_poll_stop(&c->poll);
	flush_cancel(&c->flush);
	buf_fini(&c->out);
	c->out_at = 0;
	c->callbacks->on_end(c->arg, c->write_error < 0 ? c->write_error : error);
}

static uint32_t read_u32(const char *at)
{
	const uint8_t *b = (const uint8_t *) at;

	return (uint32_t) b[0] | (uint32_t) b[1] << 8 | (uint32_t) b[2] << 16 |
	       (uint32_t) b[3] << 24;
}

static void write_u32(char *at, uint32_t n)
{
	for (int i = 0; i < LENGTH_SIZE; i++)
		at[i] = (char) (n >> 8 * i);
}

/* Hands over every whole frame.  Returns the bytes used up, or -EPROTO. */
static ssize_t take_frames(struct channel *c)
{
	size_t at = 0;

	while (c->in.len - at >= HEAD_SIZE) {
		uint32_t length = read_u32(c->in.at + at);

		if (length == 0 || length > c->most)
			return -EPROTO;
		if (c->in.len - at - LENGTH_SIZE < length)
			break;
		c->callbacks->on_frame(c->arg, (uint8_t) c->in.at[at + LENGTH_SIZE],
				       str_make(c->in.at + at + HEAD_SIZE, length - 1));
		if (c->is_closed)
			break;
		at += LENGTH_SIZE + length;
	}
	return (ssize_t) at;
}

/* Room for the rest of a large frame at once, else for one read. */
static size_t wanted(const struct channel *c)
{
	size_t rest = 0;

	if (c->in.len >= LENGTH_SIZE)
		rest = LENGTH_SIZE + MIN((size_t) read_u32(c->in.at), c->most) - c->in.len;
	return MAX(rest, READ_SIZE);
}

static void on_readable(struct channel *c)
{
	size_t room = wanted(c);
	ssize_t n, used;

	buf_reserve(&c->in, room);
	n = recv(c->fd, c->in.at + c->in.len, room, MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			end(c, -errno);
		return;
	}
	if (n == 0) {
		end(c, c->in.len == 0 ? 0 : -EPROTO);
		return;
	}
	c->in.len += (size_t) n;
	c->in.at[c->in.len] = '\0';
	used = take_frames(c);
	if (c->is_closed)
		return;
	if (used < 0) {
		end(c, -EPROTO);
		return;
	}
	buf_drop_front(&c->in, (size_t) used);
	if (c->in.len == 0 && c->in.cap > KEPT_SIZE)
		buf_fini(&c->in);
	if (used > 0 && c->callbacks->on_chunk != NULL)
		c->callbacks->on_chunk(c->arg);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel *c = poll->data;

	OBJ_CHECK(c, CHANNEL_MAGIC);
	if (status < 0) {
		end(c, status);
		return;
	}
	if (events & UV_WRITABLE) {
		c->is_waiting = false;
		channel_flush(c);
		if (!c->is_waiting && !c->has_ended)
			watch(c);
	}
	if (!c->has_ended && !c->is_closed && (events & UV_READABLE))
		on_readable(c);
}

static void on_flush(struct flush *f)
{
	channel_flush(container_of(f, struct channel, flush));
}

int channel_open(struct loop *l, int fd, size_t most, const struct channel_callbacks *callbacks,
		 void *arg, struct channel **ret)
{
	struct channel *c;
	int r;

	must(most > 0 && most <= UINT32_MAX);
	c = calloc(1, sizeof(*c));
	must(c != NULL);
	r = uv_poll_init(loop_uv(l), &c->poll, fd);
	if (r < 0) {
		free(c);
		return r;
	}
	c->magic = CHANNEL_MAGIC;
	c->loop = l;
	c->poll.data = c;
	c->fd = fd;
	c->most = most;
	c->callbacks = callbacks;
	c->arg = arg;
	c->frame_at = SIZE_MAX;
	buf_init(&c->in);
	buf_init(&c->out);
	flush_init(&c->flush, on_flush);
	watch(c);
	*ret = c;
	return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct channel *c = handle->data;
	void (*on_closed)(void *) = c->on_closed;
	void *arg = c->arg;

	OBJ_CHECK(c, CHANNEL_MAGIC);
	buf_fini(&c->in);
	buf_fini(&c->out);
	c->magic = 0;
	free(c);
	if (on_closed != NULL)
		on_closed(arg);
}

void channel_close(struct channel *c, void (*on_closed)(void *arg))
{
	OBJ_CHECK(c, CHANNEL_MAGIC);
	must(!c->is_closed);
	c->is_closed = true;
	c->on_closed = on_closed;
	flush_cancel(&c->flush);
	uv_close((uv_handle_t *) &c->poll, on_poll_closed);
	/* At once, so that the peer sees the end now; libuv does not look at it any more. */
	close(c->fd);
}

struct buf *channel_frame_begin(struct channel *c, uint8_t kind)
{
	char head[HEAD_SIZE] = { 0, 0, 0, 0, (char) kind };

	OBJ_CHECK(c, CHANNEL_MAGIC);
	must(!c->is_closed && c->frame_at == SIZE_MAX);
	if (c->out_at > READ_SIZE && c->out_at > c->out.len / 2) {
		buf_drop_front(&c->out, c->out_at);
		c->out_at = 0;
	}
	c->frame_at = c->out.len;
	buf_add(&c->out, head, sizeof(head));
	return &c->out;
}

void channel_frame_end(struct channel *c)
{
	size_t length = c->out.len - c->frame_at - LENGTH_SIZE;

	must(c->frame_at != SIZE_MAX && length <= c->most);
	write_u32(c->out.at + c->frame_at, (uint32_t) length);
	c->frame_at = SIZE_MAX;
	if (c->is_deaf) {
		/* Nobody will read it; on_end has said so or is about to. */
		buf_clear(&c->out);
		c->out_at = 0;
	} else if (!c->is_waiting) {
		flush_later(c->loop, &c->flush);
	}
}

void channel_send(struct channel *c, uint8_t kind, struct str head, struct str body)
{
	struct buf *out = channel_frame_begin(c, kind);

	buf_reserve(out, head.len + body.len);
	buf_add_str(out, head);
	buf_add_str(out, body);
	channel_frame_end(c);
}

/* All of it, or until the socket is full.  0 or -errno. */
static int write_out(struct channel *c)
{
	while (c->out_at < c->out.len) {
		ssize_t n = send(c->fd, c->out.at + c->out_at, c->out.len - c->out_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			c->out_at += (size_t) n;
		} else if (errno == EAGAIN) {
			c->is_waiting = true;
			return 0;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	c->out_at = 0;
	buf_clear(&c->out);
	if (c->out.cap > KEPT_SIZE)
		buf_fini(&c->out);
	return 0;
}

/*
 * Not the end yet: that is told by the loop, never from within a call of the owner's, and what the
 * peer wrote before it left is still to be read.
 */
static void become_deaf(struct channel *c, int error)
{
	c->is_deaf = true;
	buf_fini(&c->out);
	c->out_at = 0;
	if (error != -EPIPE && error != -ECONNRESET) {
		c->write_error = error;
		(void) shutdown(c->fd, SHUT_RDWR); /* so that the reader comes to the end */
	}
}

void channel_flush(struct channel *c)
{
	int r;

	OBJ_CHECK(c, CHANNEL_MAGIC);
	must(c->frame_at == SIZE_MAX);
	if (c->is_closed || c->is_waiting || c->is_deaf)
		return;
	flush_cancel(&c->flush);
	r = write_out(c);
	if (r < 0)
		become_deaf(c, r);
	else if (c->is_waiting)
		watch(c);
}

size_t channel_pending(const struct channel *c)
{
	return c->out.len - c->out_at;
}
