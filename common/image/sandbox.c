/*
 * The child.  It blocks on its channel, which is all that it has: no loop, no fibers.
 */
#include "image/sandbox.h"

#include <endian.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "image/jail.h"
#include "image/sandbox-internal.h"
#include "loop/process.h"

/* 0 at the end of the stream, 1 when all arrived. */
static int read_whole(void *to, size_t len)
{
	char *at = to;

	while (len > 0) {
		ssize_t n = read(PROCESS_CHANNEL_FD, at, len);

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t) n;
	}
	return 1;
}

static int write_whole(const void *from, size_t len)
{
	const char *at = from;

	while (len > 0) {
		ssize_t n = write(PROCESS_CHANNEL_FD, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t) n;
	}
	return 0;
}

static int write_frame(enum sandbox_frame kind, struct str head, struct str body)
{
	uint32_t length = htole32((uint32_t) (1 + head.len + body.len));
	uint8_t byte = (uint8_t) kind;
	int r;

	r = write_whole(&length, sizeof(length));
	if (r == 0)
		r = write_whole(&byte, sizeof(byte));
	if (r == 0)
		r = write_whole(head.at, head.len);
	if (r == 0)
		r = write_whole(body.at, body.len);
	return r;
}

static int send_variants(const struct image_variant made[IMAGE_VARIANT_COUNT])
{
	for (size_t i = 0; i < IMAGE_VARIANT_COUNT; i++) {
		uint32_t size[2] = { htole32(made[i].width), htole32(made[i].height) };
		int r = write_frame(SANDBOX_VARIANT, str_make(size, sizeof(size)),
				    str_make(made[i].bytes, made[i].len));

		if (r < 0)
			return r;
	}
	return write_frame(SANDBOX_DONE, STR(""), STR(""));
}

static int serve_picture(struct str bytes)
{
	struct image_variant made[IMAGE_VARIANT_COUNT];
	struct image_header header;
	int r;

	jail_allow_cpu();
	r = image_check(bytes, &header); /* the parent checked too; here nobody is believed */
	if (r == 0)
		r = image_variants_make(bytes, made);
	if (r < 0)
		return write_frame(SANDBOX_REFUSED, STR(""), str_c(fail_reason(r)));
	r = send_variants(made);
	image_variants_free(made);
	return r;
}

/* 0 at the end of the stream. */
static int serve(void)
{
	char *picture = NULL;
	int r;

	while (true) {
		uint32_t length;
		uint8_t kind;

		r = read_whole(&length, sizeof(length));
		if (r <= 0)
			break;
		length = le32toh(length);
		if (length < 1 || length > SANDBOX_FRAME_MOST) {
			r = fail(-EPROTO, "a frame of %u bytes", length);
			break;
		}
		picture = malloc(length);
		must(picture != NULL);
		r = read_whole(&kind, sizeof(kind));
		if (r > 0)
			r = read_whole(picture, length - 1);
		if (r > 0)
			r = kind == SANDBOX_PICTURE ? serve_picture(str_make(picture, length - 1))
						    : fail(-EPROTO, "a frame of kind %u", kind);
		free(picture);
		picture = NULL;
		if (r < 0)
			break;
	}
	free(picture);
	return r;
}

int sandbox_main(void)
{
	int r;

	process_child_setup();
	r = image_variants_setup();
	if (r == 0)
		r = jail_enter();
	if (r == 0)
		r = serve();
	if (r == -EPIPE || r == -ECONNRESET)
		r = 0; /* the parent is gone, and so is the work */
	if (r < 0)
		log_error("sandbox: %s", fail_reason(r));
	return r < 0;
}
