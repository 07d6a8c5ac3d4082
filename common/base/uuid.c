#include "base/uuid.h"

#include <errno.h>

#include "base/codec.h"
#include "base/world.h"

static void set_version(struct uuid *u, unsigned version)
{
	u->bytes[6] = (uint8_t) ((u->bytes[6] & 0x0f) | version << 4);
	u->bytes[8] = (uint8_t) ((u->bytes[8] & 0x3f) | 0x80);
}

struct uuid uuid_v4(void)
{
	struct uuid u;

	random_bytes(u.bytes, sizeof(u.bytes));
	set_version(&u, 4);
	return u;
}

struct uuid uuid_v7(void)
{
	/* The last one given out on this thread: milliseconds, then the 12 bits that count. */
	static _Thread_local uint64_t last;
	uint64_t next = (uint64_t) (now_realtime() / MSEC) << 12;
	struct uuid u;

	/* Also when the clock went back or 4,096 are not enough: then the count borrows from the
	 * next millisecond, and order holds. */
	if (next <= last)
		next = last + 1;
	last = next;
	for (int i = 0; i < 6; i++)
		u.bytes[i] = (uint8_t) (next >> (52 - 8 * i));
	u.bytes[6] = (uint8_t) (next >> 8 & 0x0f);
	u.bytes[7] = (uint8_t) next;
	random_bytes(u.bytes + 8, 8);
	set_version(&u, 7);
	return u;
}

void uuid_format(const struct uuid *u, char text[UUID_TEXT + 1])
{
	for (size_t i = 0; i < sizeof(u->bytes); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = "0123456789abcdef"[u->bytes[i] >> 4];
		*text++ = "0123456789abcdef"[u->bytes[i] & 15];
	}
	*text = '\0';
}

/* Python: replace "urn:" and "uuid:" anywhere, strip braces, drop every hyphen, then 32 digits. */
int uuid_parse(struct str text, struct uuid *ret)
{
	char digits[32];
	size_t count = 0, len;
	struct uuid u;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (c == 'u' && str_starts(str_slice(text, i, text.len), STR("urn:"))) {
			i += 3;
		} else if (c == 'u' && str_starts(str_slice(text, i, text.len), STR("uuid:"))) {
			i += 4;
		} else if (c == '{' || c == '}') {
			/* Braces are stripped from the ends only. */
			if (count != 0 && count != sizeof(digits))
				return -EINVAL;
		} else if (c != '-') {
			if (count == sizeof(digits))
				return -EINVAL;
			digits[count++] = c;
		}
	}
	if (count != sizeof(digits))
		return -EINVAL;
	if (hex_decode(str_make(digits, sizeof(digits)), u.bytes, &len) < 0)
		return -EINVAL;
	*ret = u;
	return 0;
}

int uuid_normalise(struct arena *arena, struct str text, struct str *ret)
{
	char canonical[UUID_TEXT + 1];
	struct uuid id;

	if (uuid_parse(text, &id) < 0)
		return -EINVAL;
	uuid_format(&id, canonical);
	*ret = arena_str(arena, str_make(canonical, UUID_TEXT));
	return 0;
}
