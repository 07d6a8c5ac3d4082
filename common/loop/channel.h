/*
 * channel.h - length-prefixed frames over a stream socketpair.
 *
 * A frame on the wire: u32 length of what follows (little endian), u8 kind, payload.  Both ends are
 * this program, but the reader still checks: a length above `most` or a torn end closes the channel
 * with -EPROTO.  Written frames gather in one buffer and leave in one write(2) per loop turn (or at
 * once by channel_flush); reads take 64 KiB at a time and hand over every whole frame of it, then
 * on_chunk, so that answers are written once per chunk read.
 *
 * Backpressure: channel_pending() is what the peer has not taken yet; whoever produces asks it.
 */
#ifndef LOOP_CHANNEL_H
#define LOOP_CHANNEL_H

#include "base/buf.h"
#include "loop/loop.h"

struct channel;

struct channel_callbacks {
	/* Payload is valid during the call only. */
	void (*on_frame)(void *arg, uint8_t kind, struct str payload);
	/* After the frames of one read; may be NULL. */
	void (*on_chunk)(void *arg);
	/* Once: 0 at the peer's orderly end, else -errno.  No frames afterwards. */
	void (*on_end)(void *arg, int error);
};

/* Takes the descriptor, unless it fails. */
int channel_open(struct loop *, int fd, size_t most, const struct channel_callbacks *, void *arg,
		 struct channel **ret) _must_check_;
/*
 * No callbacks afterwards except on_closed (may be NULL), in which the channel is gone.  May be
 * called from any of its callbacks.  What is still pending is lost: channel_flush first.
 */
void channel_close(struct channel *, void (*on_closed)(void *arg));

/* A frame in up to two pieces; copied.  One that is longer than `most` is a bug of the caller's
 * (asserted); after the end frames are dropped. */
void channel_send(struct channel *, uint8_t kind, struct str head, struct str body);
/* For many small frames: begin, append to the buf, end. */
struct buf *channel_frame_begin(struct channel *, uint8_t kind);
void channel_frame_end(struct channel *);
void channel_flush(struct channel *); /* write now instead of at the end of the turn */
size_t channel_pending(const struct channel *);

#endif
