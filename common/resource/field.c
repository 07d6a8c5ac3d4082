#include "resource/field.h"

#include "base/error.h"

struct contradiction {
	bool (*is_there)(const struct field *);
	const char *sentence;
};

static bool has_no_name(const struct field *f)
{
	return f->name == NULL || f->name[0] == '\0';
}

static bool has_no_digits(const struct field *f)
{
	return f->type == FIELD_DECIMAL && (f->digits == 0 || f->places > f->digits);
}

static bool has_no_choices(const struct field *f)
{
	return f->type == FIELD_CHOICE && (f->choices == NULL || f->choices[0] == NULL);
}

static bool refers_to_nothing(const struct field *f)
{
	return (f->type == FIELD_REFERENCE || field_is_relation(f)) && f->refers == NULL;
}

static bool has_no_way_there(const struct field *f)
{
	bool is_linked = f->link != NULL && f->link_own != NULL && f->link_other != NULL;

	return (f->type == FIELD_MANY && (f->through != NULL) == is_linked) ||
	       (f->type == FIELD_KEYS && !is_linked) ||
	       (f->type == FIELD_EMBED && f->column == NULL);
}

static bool is_written_object(const struct field *f)
{
	return (f->type == FIELD_EMBED || f->type == FIELD_MANY) && !f->is_read_only &&
	       f->nested == NESTED_NOT;
}

static bool is_nested_astray(const struct field *f)
{
	if (f->nested == NESTED_NOT)
		return false;
	if (f->is_read_only || f->is_hidden || f->is_write_only)
		return true;
	if (f->nested == NESTED_ONE)
		return f->type != FIELD_EMBED;
	return f->type != FIELD_MANY || f->through == NULL || f->most_rows == 0 || f->is_nullable;
}

static bool is_required_but_read_only(const struct field *f)
{
	return (f->is_required || f->is_required_once) && (f->is_read_only || f->is_hidden);
}

static bool is_computed_and_a_column(const struct field *f)
{
	return f->sql != NULL && f->column != NULL;
}

static bool is_blank_number(const struct field *f)
{
	return f->may_be_blank && f->type != FIELD_TEXT && f->type != FIELD_EMAIL &&
	       f->type != FIELD_CHOICE && f->type != FIELD_SLUG && f->type != FIELD_URL &&
	       f->type != FIELD_IP;
}

static bool is_nowhere_filled(const struct field *f)
{
	bool is_column = field_is_stored(f) && f->type != FIELD_KEY;
	bool is_written = !f->is_read_only && !f->is_hidden &&
			  (f->is_required || f->is_required_once);
	bool is_set = f->usual != NULL || f->is_filled_by_hook || f->is_nullable ||
		      f->is_now_at_creation || f->is_now_at_save;
	/* Text that clients may leave out becomes ""; what is read-only may be set by a hook. */
	return is_column && !is_written && !is_set && !f->is_read_only && !f->may_be_blank &&
	       f->type != FIELD_TEXT && f->type != FIELD_INTEGER && f->type != FIELD_BOOLEAN;
}

static bool is_pattern_without_words(const struct field *f)
{
	return (f->has_pattern != NULL) != (f->pattern_words != NULL);
}

/* What a text of PostgreSQL's can be made from and shown again without more. */
static bool has_no_item(const struct field *f)
{
	const struct field *item = f->element;

	if (f->type != FIELD_ARRAY)
		return item != NULL;
	return item == NULL || item->type == FIELD_ARRAY || item->type == FIELD_UPLOAD ||
	       item->type == FIELD_DURATION || item->type == FIELD_KEY ||
	       item->type == FIELD_REFERENCE || item->type == FIELD_JSON || field_is_relation(item);
}

static const struct contradiction contradictions[] = {
	{ has_no_name, "has no name" },
	{ has_no_digits, "is a DECIMAL without DIGITS(most, places)" },
	{ has_no_choices, "is a CHOICE without ONE_OF" },
	{ refers_to_nothing, "REFERS to nothing" },
	{ has_no_way_there,
	  "needs THROUGH or LINK (MANY), LINK (KEYS) or COLUMN (EMBED), and one of them only" },
	{ is_written_object, "shows objects and is neither READ_ONLY nor written with its row" },
	{ is_nested_astray,
	  "is WRITTEN but no EMBED, or REPLACED or MATCHED but no MANY THROUGH a column, or cannot be sent" },
	{ is_required_but_read_only, "is required and cannot be written" },
	{ is_computed_and_a_column, "is COMPUTED and a COLUMN at once" },
	{ is_blank_number, "is BLANK but no text" },
	{ is_nowhere_filled,
	  "may be left out but has no USUALLY, is not NULLABLE and not set BY_HOOK" },
	{ has_no_item, "is an ARRAY that is not OF single values, or has OF and is none" },
	{ is_pattern_without_words, "has a PATTERN without words, or words without one" },
};

void field_label_add(struct buf *out, const char *name)
{
	for (size_t i = 0; name[i] != '\0'; i++) {
		char c = name[i] == '_' ? ' ' : name[i];

		if (i == 0 && c >= 'a' && c <= 'z')
			c = (char) (c - 'a' + 'A');
		else if (i > 0 && c >= 'A' && c <= 'Z')
			c = (char) (c - 'A' + 'a');
		buf_add_byte(out, c);
	}
}

int field_table_check(const char *resource, const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct field *f = &fields[i];

		for (size_t k = 0; k < ARRAY_SIZE(contradictions); k++) {
			if (contradictions[k].is_there(f))
				return fail(-EINVAL, "%s: field %s %s", resource,
					    f->name == NULL ? "?" : f->name,
					    contradictions[k].sentence);
		}
		for (size_t k = 0; k < i; k++) {
			if (strcmp(fields[k].name, f->name) == 0)
				return fail(-EINVAL, "%s: field %s stands there twice", resource,
					    f->name);
		}
	}
	return 0;
}
