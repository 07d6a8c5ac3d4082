#include "resource/errors.h"

#include "resource/field.h"

struct error_message {
	struct str words;
	struct error_message *next;
};

struct error_entry {
	const char *field;
	struct error_message *first, *last;
	struct errors *within;       /* NULL: no level below */
	struct errors *const *items; /* or of a list's items */
	size_t item_count;
	struct error_entry *next;
};

/* Whether there is anything to show of it. */
static bool entry_says(const struct error_entry *e)
{
	if (e->first != NULL || (e->within != NULL && errors_any(e->within)))
		return true;
	for (size_t i = 0; i < e->item_count; i++) {
		if (errors_any(e->items[i]))
			return true;
	}
	return false;
}

void errors_init(struct errors *errors, struct request *rq)
{
	*errors = (struct errors){ .rq = rq };
}

static struct error_entry *find_entry(const struct errors *errors, const char *field)
{
	for (struct error_entry *e = errors->first; e != NULL; e = e->next) {
		if (strcmp(e->field, field) == 0)
			return e;
	}
	return NULL;
}

static void append_entry(struct errors *errors, struct error_entry *e)
{
	if (errors->last == NULL)
		errors->first = e;
	else
		errors->last->next = e;
	errors->last = e;
}

static struct error_entry *add_entry(struct errors *errors, const char *field)
{
	struct error_entry *e = arena_new(&errors->rq->arena, struct error_entry);

	e->field = field;
	append_entry(errors, e);
	return e;
}

static void add_words(struct errors *errors, const char *field, struct str words)
{
	struct error_message *m = arena_new(&errors->rq->arena, struct error_message);
	struct error_entry *e;

	if (field == NULL)
		field = "non_field_errors";
	e = find_entry(errors, field);
	if (e == NULL)
		e = add_entry(errors, field);
	m->words = words;
	if (e->last == NULL)
		e->first = m;
	else
		e->last->next = m;
	e->last = m;
}

void errors_add(struct errors *errors, const char *field, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_words(errors, field, arena_vprintf(&errors->rq->arena, format, args));
	va_end(args);
}

void errors_quote(struct errors *errors, const char *field, const char *before, struct str sent,
		  const char *after)
{
	_cleanup_(buf_fini) struct buf words = BUF_INIT;

	buf_add_c(&words, before);
	buf_add_str(&words, sent);
	buf_add_c(&words, after);
	add_words(errors, field, arena_str(&errors->rq->arena, buf_str(&words)));
}

static struct error_entry *need_entry(struct errors *errors, const char *field)
{
	struct error_entry *e = find_entry(errors, field);

	return e != NULL ? e : add_entry(errors, field);
}

void errors_adopt_one(struct errors *errors, const char *field, struct errors *within)
{
	need_entry(errors, field)->within = within;
}

void errors_adopt(struct errors *errors, const char *field, struct errors *const *items,
		  size_t count)
{
	struct error_entry *e = need_entry(errors, field);

	e->items = items;
	e->item_count = count;
}

struct errors *errors_within(struct errors *errors, const char *field)
{
	struct error_entry *e = need_entry(errors, field);

	if (e->within == NULL) {
		e->within = arena_new(&errors->rq->arena, struct errors);
		errors_init(e->within, errors->rq);
	}
	return e->within;
}

/* Takes the entry out of the list; NULL if it is not there. */
static struct error_entry *take_entry(struct errors *errors, const char *field)
{
	struct error_entry *before = NULL, *e = errors->first;

	while (e != NULL && strcmp(e->field, field) != 0) {
		before = e;
		e = e->next;
	}
	if (e == NULL)
		return NULL;
	if (before == NULL)
		errors->first = e->next;
	else
		before->next = e->next;
	if (errors->last == e)
		errors->last = before;
	e->next = NULL;
	return e;
}

void errors_forget(struct errors *errors, const char *field)
{
	(void) take_entry(errors, field); /* it lies in the request's arena */
}

void errors_sort(struct errors *errors, const struct field *fields, size_t count)
{
	struct errors sorted = { .rq = errors->rq, .is_bare = errors->is_bare };
	struct error_entry *e;

	for (size_t i = 0; i < count && errors->first != NULL; i++) {
		e = take_entry(errors, fields[i].name);
		if (e != NULL)
			append_entry(&sorted, e);
	}
	while (errors->first != NULL)
		append_entry(&sorted, take_entry(errors, errors->first->field));
	*errors = sorted;
}

bool errors_any(const struct errors *errors)
{
	for (const struct error_entry *e = errors->first; e != NULL; e = e->next) {
		if (entry_says(e))
			return true;
	}
	return false;
}

bool errors_has(const struct errors *errors, const char *field)
{
	const struct error_entry *e = find_entry(errors, field);

	return e != NULL && entry_says(e);
}

struct str errors_first(const struct errors *errors)
{
	for (const struct error_entry *e = errors->first; e != NULL; e = e->next) {
		if (!entry_says(e))
			continue;
		if (e->first != NULL)
			return e->first->words;
		if (e->within != NULL)
			return errors_first(e->within);
		for (size_t i = 0; i < e->item_count; i++) {
			if (errors_any(e->items[i]))
				return errors_first(e->items[i]);
		}
	}
	return STR_NULL;
}

static void put_messages(const struct error_entry *e, struct json_writer *w)
{
	json_begin_array(w);
	for (const struct error_message *m = e->first; m != NULL; m = m->next)
		json_put_str(w, m->words);
	json_end_array(w);
}

static void put_items(const struct error_entry *e, struct json_writer *w)
{
	json_begin_array(w);
	for (size_t i = 0; i < e->item_count; i++) {
		if (e->items[i]->is_bare)
			put_messages(e->items[i]->first, w);
		else
			errors_put(e->items[i], w);
	}
	json_end_array(w);
}

void errors_put(const struct errors *errors, struct json_writer *w)
{
	json_begin_object(w);
	for (const struct error_entry *e = errors->first; e != NULL; e = e->next) {
		if (!entry_says(e))
			continue;
		json_put_key(w, str_c(e->field));
		if (e->first != NULL)
			put_messages(e, w);
		else if (e->items != NULL)
			put_items(e, w);
		else
			errors_put(e->within, w);
	}
	json_end_object(w);
}

int reply_errors(struct request *rq, const struct errors *errors)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	must(errors_any(errors));
	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	errors_put(errors, &w);
	return reply_refusal(rq, 400, buf_str(&body));
}
