#include "base/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/world.h"

#define ID_AT    3
#define SPAN_AT  36
#define FLAGS_AT 53
#define SAMPLED  1

/* A number that nobody has drawn before, very likely (splitmix64, seeded once a thread). */
static uint64_t draw(void)
{
	static _Thread_local uint64_t state;
	uint64_t z;

	if (state == 0)
		random_bytes(&state, sizeof(state));
	z = state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return z == 0 ? 1 : z; /* all zeroes mean nothing */
}

static bool is_hex(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.at[i] >= '0' && s.at[i] <= '9') || (s.at[i] >= 'a' && s.at[i] <= 'f')))
			return false;
	return true;
}

static bool is_zero(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] != '0')
			return false;
	return true;
}

static uint8_t nibble(char c)
{
	return (uint8_t) (c <= '9' ? c - '0' : c - 'a' + 10);
}

int trace_parse(struct str s, struct trace *ret)
{
	struct str version, id, span, flags;

	if (s.len < TRACE_TEXT)
		return -EINVAL;
	version = str_slice(s, 0, 2);
	id = str_slice(s, ID_AT, ID_AT + 32);
	span = str_slice(s, SPAN_AT, SPAN_AT + 16);
	flags = str_slice(s, FLAGS_AT, FLAGS_AT + 2);
	if (s.at[2] != '-' || s.at[SPAN_AT - 1] != '-' || s.at[FLAGS_AT - 1] != '-' ||
	    !is_hex(version) || !is_hex(id) || !is_hex(span) || !is_hex(flags) || is_zero(id) ||
	    is_zero(span) || str_eq(version, STR("ff")))
		return -EINVAL;
	if (s.len > TRACE_TEXT && (str_eq(version, STR("00")) || s.at[TRACE_TEXT] != '-'))
		return -EINVAL;
	memcpy(ret->id, id.at, id.len);
	ret->id[id.len] = '\0';
	memcpy(ret->span, span.at, span.len);
	ret->span[span.len] = '\0';
	ret->flags = (uint8_t) (nibble(flags.at[0]) << 4 | nibble(flags.at[1]));
	return 0;
}

void trace_new(struct trace *ret)
{
	(void) snprintf(ret->id, sizeof(ret->id), "%016" PRIx64 "%016" PRIx64, draw(), draw());
	(void) snprintf(ret->span, sizeof(ret->span), "%016" PRIx64, draw());
	ret->flags = SAMPLED;
}

void trace_child(const struct trace *parent, struct trace *ret)
{
	*ret = *parent;
	(void) snprintf(ret->span, sizeof(ret->span), "%016" PRIx64, draw());
}

void trace_format(const struct trace *t, char text[TRACE_TEXT + 1])
{
	(void) snprintf(text, TRACE_TEXT + 1, "00-%s-%s-%02x", t->id, t->span,
			t->flags & SAMPLED); /* the only flag of version 00 */
}

struct str trace_id_of(struct str traceparent)
{
	struct trace t;

	if (str_is_null(traceparent) || trace_parse(traceparent, &t) < 0)
		return STR("");
	return str_slice(traceparent, ID_AT, ID_AT + 32);
}
