#include "queue/message.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/codec.h"
#include "base/error.h"
#include "base/json.h"

/*
 * What is looked for, by section and name.  KIND says what the value must be:
 *   TEXT   a string or null (goes to text[field])
 *   LOOSE  the same, but anything else counts as absent: not needed to run the job
 *   others a member of struct message of their own
 */
enum kind {
	TEXT,
	LOOSE,
	RETRIES,
	GROUP_INDEX,
	PRIORITY,
	IGNORES_RESULT,
	OUTBOX,
	REDELIVERED,
	AT,
	TIMELIMIT,
	HISTORY
};
enum section { TOP, HEADERS, PROPERTIES };

struct wanted {
	uint8_t section, kind, field, len;
	const char *name;
};

/* clang-format off */
#define ROW(section, kind, field, name) { section, kind, field, sizeof(name) - 1, name }
static const struct wanted wanted[] = {
	ROW(HEADERS,    TEXT,           MESSAGE_ID,            "id"),
	ROW(HEADERS,    TEXT,           MESSAGE_ETA,           "eta"),
	ROW(TOP,        TEXT,           MESSAGE_BODY,          "body"),
	ROW(HEADERS,    TEXT,           MESSAGE_TASK,          "task"),
	ROW(HEADERS,    LOOSE,          MESSAGE_GROUP,         "group"),
	ROW(HEADERS,    TEXT,           MESSAGE_EXPIRES,       "expires"),
	ROW(HEADERS,    RETRIES,        0,                     "retries"),
	ROW(HEADERS,    LOOSE,          MESSAGE_ROOT,          "root_id"),
	ROW(PROPERTIES, PRIORITY,       0,                     "priority"),
	ROW(HEADERS,    AT,             0,                     "apium_at"),
	ROW(HEADERS,    LOOSE,          MESSAGE_PARENT,        "parent_id"),
	ROW(HEADERS,    TIMELIMIT,      0,                     "timelimit"),
	ROW(HEADERS,    TEXT,           MESSAGE_KEY,           "apium_key"),
	ROW(HEADERS,    REDELIVERED,    0,                     "redelivered"),
	ROW(HEADERS,    TEXT,           MESSAGE_COMPRESSION,   "compression"),
	ROW(HEADERS,    LOOSE,          MESSAGE_TRACEPARENT,   "traceparent"),
	ROW(HEADERS,    GROUP_INDEX,    0,                     "group_index"),
	ROW(TOP,        TEXT,           MESSAGE_CONTENT_TYPE,  "content-type"),
	ROW(HEADERS,    OUTBOX,         0,                     "apium_outbox"),
	ROW(HEADERS,    IGNORES_RESULT, 0,                     "ignore_result"),
	ROW(HEADERS,    HISTORY,        0,                     "apium_history"),
	ROW(PROPERTIES, TEXT,           MESSAGE_BODY_ENCODING, "body_encoding"),
};
/* Rows are sorted by the length of the name: where each length begins. */
enum { NAME_MOST = 13 };
static const uint8_t first_of_length[NAME_MOST + 2] = {
	0, 0, 0, 1, 2, 4, 5, 5, 8, 10, 13, 13, 17, 19, 22,
};
/* clang-format on */

struct value {
	const char *at, *end; /* as written, with quotes and brackets */
	bool has_escapes;     /* of a string */
};

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
		at++;
	return at;
}

/* The first '"' or '\\' from `at` on, or `end`.  Half of a scan's time goes by here, most of it
 * over texts of a few bytes, for which memchr is a long way round. */
static const char *find_quote(const char *at, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\');

	for (; end - at >= 16; at += 16) {
		__m128i piece = _mm_loadu_si128((const __m128i *) (const void *) at);
		int found = _mm_movemask_epi8(
			_mm_or_si128(_mm_cmpeq_epi8(piece, quote), _mm_cmpeq_epi8(piece, escape)));

		if (found != 0)
			return at + __builtin_ctz((unsigned) found);
	}
#endif
	while (at < end && *at != '"' && *at != '\\')
		at++;
	return at;
}

/* `at` is at the opening quote.  The byte after the closing one, or NULL. */
static const char *skip_string(const char *at, const char *end, bool *ret_has_escapes)
{
	*ret_has_escapes = false;
	for (at = find_quote(at + 1, end); at < end; at = find_quote(at, end)) {
		if (*at == '"')
			return at + 1;
		*ret_has_escapes = true;
		at += 2; /* whatever is escaped, it does not end the string */
		if (at > end)
			break;
	}
	return NULL;
}

static const char *skip_nested(const char *at, const char *end)
{
	bool has_escapes;
	size_t depth = 0;

	while (at < end) {
		char c = *at;

		if (c == '"') {
			at = skip_string(at, end, &has_escapes);
			if (at == NULL)
				return NULL;
			continue;
		}
		at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return at;
	}
	return NULL;
}

static bool is_scalar_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
	       c == '.' || c == 'E' || c == 'N' || c == 'I';
}

static const char *scan_value(const char *at, const char *end, struct value *ret)
{
	ret->at = at;
	ret->has_escapes = false;
	if (at >= end)
		return NULL;
	if (*at == '"') {
		at = skip_string(at, end, &ret->has_escapes);
	} else if (*at == '{' || *at == '[') {
		at = skip_nested(at, end);
	} else {
		while (at < end && is_scalar_byte(*at))
			at++;
		if (at == ret->at)
			return NULL;
	}
	ret->end = at;
	return at;
}

static struct str value_str(const struct value *v)
{
	return str_make(v->at, (size_t) (v->end - v->at));
}

static int64_t value_count(const struct value *v)
{
	int64_t n;

	return str_to_i64(value_str(v), &n) < 0 || n < 0 ? 0 : n;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* JSON's escapes and no others: whoever resolves them trusts that they were looked at. */
static bool escapes_are_right(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] != '\\')
			continue;
		if (++i == s.len || str_find_char(STR("\"\\/bfnrtu"), s.at[i]) < 0)
			return false;
		if (s.at[i] != 'u')
			continue;
		if (s.len - i < 5)
			return false;
		for (size_t digit = 1; digit <= 4; digit++)
			if (!is_hex(s.at[i + digit]))
				return false;
	}
	return true;
}

static int take_text(struct message *m, const struct wanted *w, const struct value *v)
{
	if (*v->at != '"') {
		m->text[w->field] = STR_NULL;
		if (w->kind == TEXT && *v->at != 'n')
			return fail(-EINVAL, "\"%s\" is no text", w->name);
		return 0;
	}
	m->text[w->field] = str_make(v->at + 1, (size_t) (v->end - v->at - 2));
	if (v->has_escapes && !escapes_are_right(m->text[w->field]))
		return fail(-EINVAL, "\"%s\" has an escape that is none", w->name);
	m->escaped &= ~(UINT32_C(1) << w->field);
	m->escaped |= (uint32_t) v->has_escapes << w->field;
	return 0;
}

static int take(struct message *m, const struct wanted *w, const struct value *v)
{
	switch ((enum kind) w->kind) {
	case TEXT:
	case LOOSE:
		return take_text(m, w, v);
	case RETRIES:
		m->retries = value_count(v);
		break;
	case GROUP_INDEX:
		m->group_index = *v->at == 'n' ? -1 : value_count(v);
		break;
	case PRIORITY:
		m->priority = value_count(v);
		break;
	case AT:
		m->at = MIN(value_count(v), INT64_MAX / MSEC) * MSEC;
		break;
	case IGNORES_RESULT:
		m->ignores_result = *v->at == 't';
		break;
	case OUTBOX:
		m->is_outbox = *v->at == 't';
		break;
	case REDELIVERED:
		m->is_redelivered = *v->at == 't';
		break;
	case TIMELIMIT:
		m->timelimit = *v->at == '[' ? value_str(v) : STR_NULL;
		break;
	case HISTORY:
		m->history = *v->at == '[' ? value_str(v) : STR_NULL;
		break;
	}
	return 0;
}

static const struct wanted *find_wanted(enum section section, const char *name, size_t len)
{
	if (len == 0 || len > NAME_MOST)
		return NULL;
	for (size_t i = first_of_length[len]; i < first_of_length[len + 1]; i++)
		if (wanted[i].section == section && wanted[i].name[0] == name[0] &&
		    memcmp(wanted[i].name, name, len) == 0)
			return &wanted[i];
	return NULL;
}

static int torn(void)
{
	return fail(-EINVAL, "the envelope is no JSON object");
}

static int scan_object(struct message *m, enum section section, const char **at, const char *end);

/* One member's value; `headers` and `properties` are opened, nothing deeper is. */
static int scan_member(struct message *m, enum section section, struct str name, const char **at,
		       const char *end)
{
	const struct wanted *w;
	struct value v;

	if (section == TOP && *at < end && **at == '{') {
		if (str_eq(name, STR("headers")))
			return scan_object(m, HEADERS, at, end);
		if (str_eq(name, STR("properties")))
			return scan_object(m, PROPERTIES, at, end);
	}
	*at = scan_value(*at, end, &v);
	if (*at == NULL)
		return torn();
	w = find_wanted(section, name.at, name.len);
	return w == NULL ? 0 : take(m, w, &v);
}

static int scan_object(struct message *m, enum section section, const char **cursor,
		       const char *end)
{
	const char *at = *cursor, *name;
	bool has_escapes;
	int r;

	if (at >= end || *at != '{')
		return torn();
	at = skip_space(at + 1, end);
	if (at < end && *at == '}') {
		*cursor = at + 1;
		return 0;
	}
	for (;;) {
		at = skip_space(at, end);
		if (at >= end || *at != '"')
			return torn();
		name = at + 1;
		at = skip_string(at, end, &has_escapes);
		if (at == NULL)
			return torn();
		struct str key = str_make(name, (size_t) (at - name - 1));
		at = skip_space(at, end);
		if (at >= end || *at != ':')
			return torn();
		at = skip_space(at + 1, end);
		r = scan_member(m, section, key, &at, end);
		if (r < 0)
			return r;
		at = skip_space(at, end);
		if (at >= end || (*at != ',' && *at != '}'))
			return torn();
		if (*at++ == '}')
			break;
	}
	*cursor = at;
	return 0;
}

int message_scan(struct str raw, struct message *ret)
{
	struct message m = { .raw = raw, .group_index = -1 };
	const char *end = raw.at + raw.len, *at = skip_space(raw.at, end);
	int r = scan_object(&m, TOP, &at, end);

	if (r < 0)
		return r;
	if (skip_space(at, end) != end)
		return torn();
	*ret = m;
	return 0;
}

struct str message_text(struct arena *arena, const struct message *m, enum message_field field)
{
	struct json string = { .type = JSON_STRING, .text = m->text[field] };

	if (str_is_null(m->text[field]) || (m->escaped >> field & 1) == 0)
		return m->text[field];
	return json_text(arena, &string);
}

static usec_t seconds(struct str number)
{
	double value;

	number = str_trim(number);
	if (str_to_double(number, &value) < 0 || !(value > 0) || value > 365.0 * 86400)
		return 0; /* null, nonsense, or so long that it is none */
	return (usec_t) (value * (double) SEC);
}

void message_limits(const struct message *m, usec_t *ret_hard, usec_t *ret_soft)
{
	struct str rest = m->timelimit, hard, soft;

	*ret_hard = *ret_soft = 0;
	if (rest.len < 2 || str_eq(rest, STR("[null, null]"))) /* as Python writes nearly always */
		return;
	rest = str_slice(rest, 1, rest.len - 1);
	if (str_cut(&rest, ',', &hard))
		*ret_hard = seconds(hard);
	if (str_cut(&rest, ',', &soft))
		*ret_soft = seconds(soft);
}
