#include "loop/channel.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/world.h"
#include "support.h"

/* One side is a channel, the other a bare socket, unless a test opens a second channel. */
static struct channel *channel;
static int peer;

static struct buf frames; /* "kind:payload;" of each, "|" for each chunk */
static size_t frame_count, frame_bytes;
static uint64_t frame_hash;
static bool has_ended, is_closed, close_on_frame;
static int end_error, ends;

static void on_closed(void *arg)
{
	is_closed = true;
}

static void on_frame(void *arg, uint8_t kind, struct str payload)
{
	frame_count++;
	frame_bytes += payload.len;
	frame_hash = frame_hash * 31 + str_hash(payload) + kind;
	if (payload.len < 100)
		buf_printf(&frames, "%d:%.*s;", kind, STR_ARG(payload));
	if (close_on_frame)
		channel_close(channel, on_closed);
}

static void on_chunk(void *arg)
{
	buf_add_byte(&frames, '|');
}

static void on_end(void *arg, int error)
{
	has_ended = true;
	end_error = error;
	ends++;
}

static const struct channel_callbacks callbacks = { on_frame, on_chunk, on_end };

#define MOST (4 * MIB)

static void open_type(int type)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(channel_open(loop, pair[0], MOST, &callbacks, NULL, &channel), 0);
	peer = pair[1];
}

static void up(void)
{
	loop_up();
	open_type(SOCK_STREAM);
}

static void down(void)
{
	if (!is_closed) {
		channel_close(channel, on_closed);
		turn_until(&is_closed);
	}
	close(peer);
	buf_fini(&frames);
	loop_down();
}

TestSuite(channel, .init = up, .fini = down);

static void write_raw(const void *at, size_t len)
{
	cr_assert_eq(write(peer, at, len), (ssize_t) len);
}

Test(channel, a_frame_is_length_kind_payload)
{
	char got[64];

	channel_send(channel, 7, STR("he"), STR("ad"));
	channel_send(channel, 8, STR_NULL, STR_NULL);
	cr_assert_eq(channel_pending(channel), 5 + 4 + 5);
	loop_turn(loop, 0);
	cr_assert_eq(channel_pending(channel), 0);
	cr_assert_eq(read(peer, got, sizeof(got)), 14);
	cr_assert_arr_eq(got, "\x05\0\0\0\x07head\x01\0\0\0\x08", 14);
}

Test(channel, hands_over_whole_frames_then_the_chunk)
{
	write_raw("\x03\0\0\0\x01xy\x01\0\0\0\x02\x04\0\0\0\x03", 17);
	loop_turn(loop, SEC);
	cr_assert_str_eq(frames.at, "1:xy;2:;|");
	write_raw("abc", 3);
	loop_turn(loop, SEC);
	cr_assert_str_eq(frames.at, "1:xy;2:;|3:abc;|");
}

Test(channel, frames_torn_anywhere_are_put_together)
{
	for (size_t i = 0; i < 200; i++) {
		char c = "\x03\0\0\0\x01xy\x01\0\0\0\x02"[i % 12];

		write_raw(&c, 1);
		loop_turn(loop, SEC);
	}
	cr_assert_eq(frame_count, 200 / 12 * 2 + 1);
}

Test(channel, an_orderly_end_is_zero_and_comes_once)
{
	write_raw("\x02\0\0\0\x01x", 6);
	shutdown(peer, SHUT_WR);
	turn_until(&has_ended);
	cr_assert_eq(end_error, 0);
	cr_assert_str_eq(frames.at, "1:x;|");
	loop_turn(loop, 0);
	cr_assert_eq(ends, 1);
}

Test(channel, an_end_within_a_frame_is_a_protocol_error)
{
	write_raw("\x05\0\0\0\x01x", 6);
	shutdown(peer, SHUT_WR);
	turn_until(&has_ended);
	cr_assert_eq(end_error, -EPROTO);
	cr_assert_eq(frame_count, 0);
}

Test(channel, a_frame_longer_than_the_most_is_a_protocol_error)
{
	write_raw("\x01\0\0\0\x01\x01\0\x40\0\x01", 10); /* 4 MiB and one */
	turn_until(&has_ended);
	cr_assert_eq(end_error, -EPROTO);
	cr_assert_eq(frame_count, 1);
	write_raw("\x01\0\0\0\x01", 5);
	loop_turn(loop, 0);
	cr_assert_eq(frame_count, 1, "nothing after the end");
}

Test(channel, a_frame_without_a_kind_is_a_protocol_error)
{
	write_raw("\0\0\0\0\x01", 5);
	turn_until(&has_ended);
	cr_assert_eq(end_error, -EPROTO);
}

Test(channel, may_be_closed_within_a_frame)
{
	close_on_frame = true;
	write_raw("\x02\0\0\0\x01x\x02\0\0\0\x01y", 12);
	turn_until(&is_closed);
	cr_assert_str_eq(frames.at, "1:x;");
	cr_assert_eq(ends, 0);
}

/* Packets keep the boundaries of writes. */
Test(channel_writes, one_turn_is_one_write, .init = loop_up, .fini = down)
{
	static char got[4096];
	ssize_t n;

	open_type(SOCK_SEQPACKET);
	for (int i = 0; i < 100; i++) {
		struct buf *out = channel_frame_begin(channel, 1);

		buf_printf(out, "%d", i);
		channel_frame_end(channel);
	}
	loop_turn(loop, 0);
	n = recv(peer, got, sizeof(got), MSG_DONTWAIT);
	cr_assert_eq(n, 100 * 5 + 190);
	cr_assert_eq(recv(peer, got, sizeof(got), MSG_DONTWAIT), -1);
	channel_send(channel, 2, STR("now"), STR_NULL);
	channel_flush(channel);
	cr_assert_eq(recv(peer, got, sizeof(got), MSG_DONTWAIT), 8);
	loop_turn(loop, 0);
	cr_assert_eq(recv(peer, got, sizeof(got), MSG_DONTWAIT), -1, "not again");
}

Test(channel, what_the_peer_does_not_take_is_pending_and_leaves_later)
{
	static char payload[100000], got[65536];
	size_t total = 0, expected = 50 * (5 + sizeof(payload));
	usec_t end = now_monotonic() + 10 * SEC;

	for (int i = 0; i < 50; i++)
		channel_send(channel, 1, str_make(payload, sizeof(payload)), STR_NULL);
	loop_turn(loop, 0);
	cr_assert(channel_pending(channel) > 0 && channel_pending(channel) < expected);
	channel_send(channel, 2, STR("last"), STR_NULL);
	expected += 9;
	while (total < expected) {
		ssize_t n = recv(peer, got, sizeof(got), MSG_DONTWAIT);

		if (n > 0)
			total += (size_t) n;
		loop_turn(loop, 0);
		cr_assert(now_monotonic() < end);
	}
	cr_assert_eq(total, expected);
	cr_assert_eq(channel_pending(channel), 0);
}

Test(channel, what_the_peer_wrote_before_it_left_is_still_read)
{
	write_raw("\x05\0\0\0\x01last", 9);
	close(peer);
	peer = -1;
	/* The first write finds out that nobody listens. */
	channel_send(channel, 1, STR("x"), STR_NULL);
	channel_flush(channel);
	cr_assert_eq(ends, 0, "never from within a call of the owner's");
	channel_send(channel, 1, STR("y"), STR_NULL);
	cr_assert_eq(channel_pending(channel), 0);
	turn_until(&has_ended);
	cr_assert_str_eq(frames.at, "1:last;|");
	cr_assert_eq(end_error, 0);
	channel_send(channel, 1, STR("z"), STR_NULL);
	loop_turn(loop, 0);
	cr_assert_eq(ends, 1);
}

/* Two channels on one loop: what one sends the other gets, whatever the sizes. */
Test(channel, frames_of_all_sizes_arrive_whole_and_in_order)
{
	static char bytes[3 * 1024 * 1024];
	struct channel *first = channel, *second;
	struct fake_world f;
	uint64_t hash = 0;
	size_t sent = 0, size = 0;

	fake_world_init(&f, 5, 0);
	random_bytes(bytes, sizeof(bytes));
	cr_assert_eq(channel_open(loop, peer, MOST, &callbacks, NULL, &second), 0);
	for (int i = 0; i < 3000; i++) {
		size_t len = random_below(i % 500 == 0 ? sizeof(bytes) : i % 20 == 0 ? 70000 : 300);
		size_t cut = random_below(len + 1), at = random_below(sizeof(bytes) - len + 1);

		channel_send(first, (uint8_t) i, str_make(bytes + at, cut),
			     str_make(bytes + at + cut, len - cut));
		hash = hash * 31 + str_hash(str_make(bytes + at, len)) + (uint8_t) i;
		sent++;
		size += len;
		if (random_below(10) == 0)
			loop_turn(loop, 0);
	}
	channel_flush(first);
	for (usec_t end = now_monotonic() + 20 * SEC; frame_count < sent;) {
		cr_assert(now_monotonic() < end);
		loop_turn(loop, 10 * MSEC);
	}
	cr_assert_eq(frame_bytes, size);
	cr_assert_eq(frame_hash, hash);
	channel_close(second, NULL);
	peer = -1;
}

Test(channel_bugs, a_frame_longer_than_the_most_is_the_senders_bug, .init = up, .signal = SIGABRT)
{
	static char payload[MOST];

	channel_send(channel, 1, str_make(payload, sizeof(payload)), STR_NULL);
}
