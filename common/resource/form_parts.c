#include "resource/form_parts.h"

#include <stdlib.h>

/* What a name says; of a list. */
struct entry {
	struct str name;   /* "lines[07]sku" */
	struct str number; /* "7" */
	struct str key;    /* "sku"; empty: the item itself */
	const struct upload *upload;
	struct str text;
	size_t place; /* among all entries */
};

static struct body *new_row(struct arena *arena, const struct form_field *fields,
			    const struct upload *uploads)
{
	struct body *row = arena_new(arena, struct body);

	row->kind = BODY_MULTIPART;
	row->fields = fields;
	row->uploads = uploads;
	return row;
}

/* What follows `name` and the sign; absent if it is called otherwise. */
static struct str behind(struct str called, const char *name, char sign)
{
	struct str head = str_c(name);

	if (called.len <= head.len || !str_starts(called, head) || called.at[head.len] != sign)
		return STR_NULL;
	return str_slice(called, head.len + 1, called.len);
}

const struct body *form_row(struct arena *arena, const struct body *body, const char *name)
{
	struct form_field *fields = arena_array(arena, struct form_field, body->field_count + 1);
	struct upload *uploads = arena_array(arena, struct upload, body->upload_count + 1);
	struct body *row = new_row(arena, fields, uploads);

	for (size_t i = 0; i < body->field_count; i++) {
		struct str key = behind(body->fields[i].name, name, '.');

		if (key.len > 0)
			fields[row->field_count++] = (struct form_field){ key,
									  body->fields[i].value };
	}
	for (size_t i = 0; i < body->upload_count; i++) {
		struct str key = behind(body->uploads[i].name, name, '.');

		if (key.len == 0)
			continue;
		uploads[row->upload_count] = body->uploads[i];
		uploads[row->upload_count++].name = key;
	}
	return row->field_count + row->upload_count == 0 ? NULL : row;
}

/* --- lists --- */

static bool read_name(struct str called, const char *name, struct entry *ret)
{
	struct str rest = behind(called, name, '[');
	size_t digits = 0;

	while (digits < rest.len && rest.at[digits] >= '0' && rest.at[digits] <= '9')
		digits++;
	if (digits == 0 || digits == rest.len || rest.at[digits] != ']')
		return false;
	ret->name = called;
	ret->key = str_slice(rest, digits + 1, rest.len);
	ret->number = str_slice(rest, 0, digits);
	while (ret->number.len > 1 && ret->number.at[0] == '0')
		ret->number = str_slice(ret->number, 1, ret->number.len);
	return true;
}

/* A name that was there before keeps its place. */
static size_t add_entry(struct entry *entries, size_t count, struct entry entry)
{
	size_t at = 0;

	while (at < count && !str_eq(entries[at].name, entry.name))
		at++;
	entry.place = at;
	entries[at] = entry;
	return MAX(count, at + 1);
}

static size_t find_entries(const struct body *body, const char *name, struct entry *entries)
{
	size_t count = 0;

	for (size_t i = 0; i < body->field_count; i++) {
		struct entry entry = { .text = body->fields[i].value };

		if (read_name(body->fields[i].name, name, &entry))
			count = add_entry(entries, count, entry);
	}
	for (size_t i = 0; i < body->upload_count; i++) {
		struct entry entry = { .upload = &body->uploads[i] };

		if (read_name(body->uploads[i].name, name, &entry))
			count = add_entry(entries, count, entry);
	}
	return count;
}

static int by_number(const void *a, const void *b)
{
	const struct entry *one = a, *other = b;

	if (one->number.len != other->number.len)
		return one->number.len < other->number.len ? -1 : 1;
	int order = str_cmp(one->number, other->number);
	return order != 0 ? order : one->place < other->place ? -1 : 1;
}

/* "lines[0]sku" and "lines[00]sku" are one. */
static bool is_set_again(const struct entry *entries, size_t count, size_t at)
{
	for (size_t i = at + 1; i < count; i++) {
		if (str_eq(entries[i].key, entries[at].key))
			return true;
	}
	return false;
}

static const struct body *make_row(struct arena *arena, const struct entry *entries, size_t count)
{
	struct form_field *fields = arena_array(arena, struct form_field, count);
	struct upload *uploads = arena_array(arena, struct upload, count);
	struct body *row = new_row(arena, fields, uploads);

	for (size_t i = 0; i < count; i++) {
		const struct entry *e = &entries[i];

		if (is_set_again(entries, count, i))
			continue;
		if (e->upload == NULL) {
			fields[row->field_count++] = (struct form_field){ e->key, e->text };
			continue;
		}
		uploads[row->upload_count] = *e->upload;
		uploads[row->upload_count++].name = e->key;
	}
	return row;
}

/* Of the entries of one number. */
static struct form_item make_item(struct arena *arena, const struct entry *entries, size_t count)
{
	const struct entry *last = &entries[count - 1];
	size_t first = count;

	if (last->key.len == 0)
		return (struct form_item){ .upload = last->upload, .text = last->text };
	while (first > 0 && entries[first - 1].key.len > 0)
		first--;
	return (struct form_item){ .row = make_row(arena, entries + first, count - first) };
}

size_t form_list(struct arena *arena, const struct body *body, const char *name,
		 const struct form_item **ret)
{
	size_t most = body->field_count + body->upload_count, count, items = 0;
	struct entry *entries = arena_array(arena, struct entry, most + 1);
	struct form_item *list;

	count = find_entries(body, name, entries);
	if (count == 0)
		return 0;
	qsort(entries, count, sizeof(entries[0]), by_number);
	list = arena_array(arena, struct form_item, count);
	for (size_t first = 0, end = 0; first < count; first = end) {
		while (end < count && str_eq(entries[end].number, entries[first].number))
			end++;
		list[items++] = make_item(arena, entries + first, end - first);
	}
	*ret = list;
	return items;
}
