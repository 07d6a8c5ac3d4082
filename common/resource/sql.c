#include "resource/sql.h"

#include <stdlib.h>

#include "auth/rights.h"

static const struct str names[SQL_NAMES] = {
	[SQL_CALLER] = STR_INIT("caller"), [SQL_STAFF] = STR_INIT("staff"),
	[SQL_KEY] = STR_INIT("key"),       [SQL_OFFSET] = STR_INIT("offset"),
	[SQL_HOST] = STR_INIT("host"),
};

void sql_fini(struct sql *s)
{
	buf_fini(&s->text);
	free(s->slots);
	*s = (struct sql) SQL_INIT;
}

void sql_add(struct sql *s, const char *text)
{
	buf_add_c(&s->text, text);
}

void sql_printf(struct sql *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(&s->text, format, args);
	va_end(args);
}

static void add_slot(struct sql *s, struct sql_slot slot)
{
	must(s->count < SQL_SLOTS);
	if (s->count == s->room) {
		s->room = MAX(2 * s->room, (size_t) 8);
		s->slots = realloc(s->slots, s->room * sizeof(*s->slots));
		must(s->slots != NULL);
	}
	s->slots[s->count++] = slot;
}

void sql_add_value(struct sql *s, struct str value)
{
	add_slot(s, (struct sql_slot){ .name = SQL_VALUE, .value = value });
	buf_printf(&s->text, "$%zu", s->count);
}

void sql_add_name(struct sql *s, enum sql_name name)
{
	must(name != SQL_VALUE);
	if (s->place[name] == 0) {
		add_slot(s, (struct sql_slot){ .name = name });
		s->place[name] = (unsigned) s->count;
	}
	buf_printf(&s->text, "$%u", s->place[name]);
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static size_t word_length(const char *at)
{
	size_t len = 0;

	while (is_word(at[len]))
		len++;
	return len;
}

/* Behind a text or identifier in quotes; a doubled quote ends one and begins the next. */
static size_t quoted_length(const char *at)
{
	const char *end = strchr(at + 1, at[0]);

	must(end != NULL); /* a snippet of ours with an open quote */
	return (size_t) (end - at) + 1;
}

/* What stands at this place of a snippet. */
enum piece { PIECE_PLAIN, PIECE_ALIAS, PIECE_NAME, PIECE_PERMISSION, PIECE_MEMBER, PIECE_GRANTED };

static const struct {
	const char *word;
	enum piece piece;
} words[] = {
	{ "has_perm('", PIECE_PERMISSION },
	{ "in_group('", PIECE_MEMBER },
	{ "granted('", PIECE_GRANTED },
};

/* PIECE_PLAIN: none of the words stands here; else its length with argument and parenthesis. */
static enum piece find_word(const char *at, size_t *ret_len)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strncmp(at, words[i].word, strlen(words[i].word)) != 0)
			continue;
		const char *end = strstr(at, "')");

		must(end != NULL); /* a snippet of ours with an open parenthesis */
		*ret_len = (size_t) (end - at) + 2;
		return words[i].piece;
	}
	return PIECE_PLAIN;
}

static enum piece next_piece(const char *at, size_t *ret_len)
{
	if (at[0] == '\'' || at[0] == '"') {
		*ret_len = quoted_length(at);
		return PIECE_PLAIN;
	}
	if (at[0] == ':' && at[1] == ':') {
		*ret_len = 2;
		return PIECE_PLAIN;
	}
	if (at[0] == ':' && is_word(at[1])) {
		*ret_len = 1 + word_length(at + 1);
		return PIECE_NAME;
	}
	if (is_word(at[0])) {
		enum piece word = find_word(at, ret_len);

		if (word != PIECE_PLAIN)
			return word;
		*ret_len = word_length(at);
		return *ret_len == 1 && at[0] == 't' && at[1] == '.' ? PIECE_ALIAS : PIECE_PLAIN;
	}
	if (at[0] == '.') { /* a column named t is no alias */
		*ret_len = 1 + word_length(at + 1);
		return PIECE_PLAIN;
	}
	*ret_len = 1;
	return PIECE_PLAIN;
}

static enum sql_name find_name(struct str word)
{
	for (unsigned i = SQL_VALUE + 1; i < SQL_NAMES; i++) {
		if (str_eq(names[i], word))
			return (enum sql_name) i;
	}
	return SQL_VALUE;
}

/* What stands between the quotes of a word. */
static struct str argument_of(const char *at, size_t len)
{
	const char *quote = strchr(at, '\'');

	return str_make(quote + 1, (size_t) (at + len - 2 - (quote + 1)));
}

static void add_right(struct sql *s, enum sql_name name, struct str argument)
{
	add_slot(s, (struct sql_slot){ .name = name, .value = argument });
	buf_printf(&s->text, "$%zu", s->count);
}

/* One index look-up a row; nothing of it is kept. */
static void add_granted(struct sql *s, struct str permission, const char *alias)
{
	must(s->row_of != NULL); /* plan.c refuses the word elsewhere */
	sql_add(s, "(");
	add_right(s, SQL_SUPERUSER, STR_NULL);
	sql_printf(s,
		   "::boolean OR EXISTS (SELECT FROM auth_grant a WHERE a.resource = '%s' AND "
		   "a.object_id = %s.id::text AND a.permission = '%.*s' AND (a.user_id = ",
		   s->row_of, alias, STR_ARG(permission));
	sql_add_name(s, SQL_CALLER);
	sql_add(s,
		"::uuid OR a.group_id IN (SELECT m.group_id FROM users_groups m WHERE m.user_id = ");
	sql_add_name(s, SQL_CALLER);
	sql_add(s, "::uuid))))");
}

void sql_add_over(struct sql *s, const char *snippet, const char *alias)
{
	size_t len;

	for (const char *at = snippet; *at != '\0'; at += len) {
		switch (next_piece(at, &len)) {
		case PIECE_PLAIN:
			buf_add(&s->text, at, len);
			break;
		case PIECE_ALIAS:
			buf_add_c(&s->text, alias);
			break;
		case PIECE_NAME:
			sql_add_name(s, find_name(str_make(at + 1, len - 1)));
			break;
		case PIECE_PERMISSION:
			add_right(s, SQL_PERMISSION, argument_of(at, len));
			sql_add(s, "::boolean");
			break;
		case PIECE_MEMBER:
			add_right(s, SQL_MEMBER, argument_of(at, len));
			sql_add(s, "::boolean");
			break;
		case PIECE_GRANTED:
			add_granted(s, argument_of(at, len), alias);
			break;
		}
	}
}

struct str sql_unknown_name(const char *snippet)
{
	size_t len;

	for (const char *at = snippet; *at != '\0'; at += len) {
		if (next_piece(at, &len) == PIECE_NAME &&
		    find_name(str_make(at + 1, len - 1)) == SQL_VALUE)
			return str_make(at, len);
	}
	return STR_NULL;
}

static bool has_piece(const char *snippet, enum piece least)
{
	size_t len;

	for (const char *at = snippet; at != NULL && *at != '\0'; at += len) {
		if (next_piece(at, &len) >= least)
			return true;
	}
	return false;
}

bool sql_has_names(const char *snippet)
{
	return has_piece(snippet, PIECE_NAME);
}

bool sql_has_rights(const char *snippet)
{
	return has_piece(snippet, PIECE_PERMISSION);
}

bool sql_has_grants(const char *snippet)
{
	return has_piece(snippet, PIECE_GRANTED);
}

static bool asks_for_rights(const struct sql *s)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->slots[i].name == SQL_PERMISSION || s->slots[i].name == SQL_MEMBER)
			return true;
	}
	return false;
}

struct sql_statement sql_finish(const struct sql *s, struct arena *arena, enum db_lane lane,
				bool is_kept)
{
	struct sql_slot *slots = arena_array(arena, struct sql_slot, s->count + 1);

	if (s->count > 0)
		memcpy(slots, s->slots, s->count * sizeof(slots[0]));
	return (struct sql_statement){
		.statement = { .sql = arena_str(arena, buf_str(&s->text)),
			       .lane = lane,
			       .is_varying = !is_kept },
		.slots = slots,
		.count = s->count,
		.asks_for_rights = asks_for_rights(s),
	};
}

/* "shop.example:8000" without the port; of "[::1]:8000" what the brackets hold stays in them. */
static struct str host_of(const struct request *rq)
{
	struct str host = rq->host;
	ptrdiff_t colon = -1;

	for (size_t i = 0; i < host.len; i++)
		colon = host.at[i] == ':' ? (ptrdiff_t) i : host.at[i] == ']' ? -1 : colon;
	return colon < 0 ? host : str_slice(host, 0, (size_t) colon);
}

static struct str truth(bool value)
{
	return value ? STR("true") : STR("false");
}

static struct str value_of(const struct request *rq, const struct sql_context *context,
			   const struct sql_slot *slot)
{
	switch (slot->name) {
	case SQL_VALUE:
		return slot->value;
	case SQL_CALLER:
		return rq->caller == NULL ? STR_NULL : rq->caller->id;
	case SQL_STAFF:
		return truth(rq->caller != NULL && rq->caller->is_staff);
	case SQL_KEY:
		return context->key;
	case SQL_OFFSET:
		return context->offset;
	case SQL_HOST:
		return host_of(rq);
	case SQL_PERMISSION:
		return truth(rights_has_permission(rights_of(rq), slot->value));
	case SQL_MEMBER:
		return truth(rights_is_member(rights_of(rq), slot->value));
	case SQL_SUPERUSER:
		return truth(rq->caller != NULL && rq->caller->is_superuser);
	case SQL_NAMES:
		break;
	}
	must_not_reach("a slot of no name");
}

int sql_run(struct request *rq, struct db_at at, const struct sql_statement *s,
	    const struct sql_context *context, struct db_rows *ret)
{
	struct str *values = arena_array(&rq->arena, struct str, s->count + 1);
	const struct rights *rights;

	if (s->asks_for_rights) {
		int r = rights_read(rq, at, &rights);

		if (r < 0)
			return r;
	}
	const struct str *given = context->values;
	for (size_t i = 0; i < s->count; i++)
		values[i] = given != NULL && s->slots[i].name == SQL_VALUE
				    ? *given++
				    : value_of(rq, context, &s->slots[i]);
	return db_at_query(at, &rq->arena, &s->statement, values, s->count, ret);
}

struct str sql_like_text(struct arena *arena, struct str text)
{
	_cleanup_(buf_fini) struct buf escaped = BUF_INIT;

	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '\\' || text.at[i] == '%' || text.at[i] == '_')
			buf_add_byte(&escaped, '\\');
		buf_add_byte(&escaped, text.at[i]);
	}
	return arena_str(arena, buf_str(&escaped));
}
