/*
 * field.h - one row of a resource's table: a name on the wire, a type, and rules as words.
 *
 *     FIELD("price",  DECIMAL,  REQUIRED, DIGITS(10, 2), AT_LEAST("0", "Price cannot be
 * negative")),
 *
 * The words only describe: each is a designated initialiser, so an unknown word does not compile,
 * and field_table_check refuses at start what contradicts itself, with a sentence.  Values travel
 * between validation, hooks, SQL and rendering as PostgreSQL's own text form (struct str, absent =
 * NULL).
 *
 * Input coercion and messages are DRF's (drf-wire §5, §6), output forms too (§7).
 */
#ifndef RESOURCE_FIELD_H
#define RESOURCE_FIELD_H

#include "base/json.h"
#include "http/request.h"

struct form;
struct resource;
struct row;

enum field_type {
	FIELD_KEY,   /* the primary key: uuid, or bigint by the resource's word; never written by
			clients */
	FIELD_TEXT,  /* CharField: trimmed unless KEEP_SPACES */
	FIELD_EMAIL, /* the domain is lower-cased before anything else looks (T-25) */
	FIELD_INTEGER,
	FIELD_DECIMAL, /* fixed places; text on the wire */
	FIELD_BOOLEAN,
	FIELD_TIME, /* timestamptz */
	FIELD_DATE,
	FIELD_DURATION, /* interval; read as microseconds */
	FIELD_CHOICE,
	FIELD_REFERENCE, /* a key of another resource, shown as the key */
	FIELD_UUID,
	FIELD_JSON,   /* jsonb; shown as it is */
	FIELD_UPLOAD, /* a file of a multipart body; the column holds its path */
	FIELD_SLUG,   /* letters, digits, '_' and '-' of ASCII */
	FIELD_URL,    /* http, https, ftp or ftps */
	FIELD_IP,     /* inet: an address of version 4 or 6, without a net */
	FIELD_CLOCK,  /* time without time zone */
	FIELD_ARRAY,  /* a PostgreSQL array of what OF describes; one level */
	/* What other resources are to this row.  None of them is a column, and none costs a statement of its
	 * own, however many rows a page has: see plan.c. */
	FIELD_EMBED, /* the row that COLUMN points at, as an object or null; only shown */
	FIELD_MANY, /* rows that point here (THROUGH), or that a table joins to it (LINK), as objects; only
			shown */
	FIELD_KEYS, /* the keys of rows that a table joins to it (LINK); written as the whole set */
	FIELD_TYPES,
};

/* The least of an answer in which a field stands. */
enum shown {
	SHOWN_ALWAYS,
	SHOWN_IN_DETAIL,    /* retrieve, create, PUT, PATCH; not lists */
	SHOWN_IN_RETRIEVAL, /* only retrieve */
};

/* Whether the rows of EMBED or MANY are written with the row that shows them (nested.h). */
enum nesting { NESTED_NOT, NESTED_ONE, NESTED_REPLACED, NESTED_MATCHED };

#define FIELD_RULES 8

/* Filled by words. */
struct field {
	const char *name;
	enum field_type type;
	const char *column; /* NULL: the name */
	const char
		*sql; /* COMPUTED, SHOWN_AS: an expression over the row, alias t; never written */
	bool is_required;      /* in POST and PUT */
	bool is_required_once; /* in POST only */
	bool is_read_only;
	bool is_write_only; /* never shown: passwords */
	bool is_hidden;     /* a column that hooks set and read; not on the wire at all */
	bool is_nullable;
	bool may_be_blank;
	bool keeps_spaces;
	bool keeps_domain; /* EMAIL: the domain's letters stay as they were sent */
	bool is_fixed;     /* taken at creation, ignored afterwards */
	enum shown shown;
	bool is_not_a_column; /* input that only hooks use (password_confirm, name) */
	unsigned most_length;
	bool is_most_untold; /* BOUND: kept to, but no word of it in OPTIONS and the document */
	unsigned digits, places;
	const char *least, *most;                /* numbers, as text */
	const char *least_words, *most_words;    /* NULL: DRF's */
	bool is_now_at_creation, is_now_at_save; /* TIME: set by the server */
	bool is_filled_by_hook;                  /* left out at creation: `saving` sets it */
	const char *usual; /* value at creation when absent, as SQL text; NULL: "" for blank text,
			      NULL if nullable */
	const char *const *choices; /* NULL-terminated */
	const struct field
		*element;  /* ARRAY: type and rules of one item; its name is not looked at */
	bool may_be_empty; /* ARRAY: without items */
	const char *pattern_words; /* with has_pattern: the message */
	bool (*has_pattern)(struct str value);
	/* More rules of a text: fills the sentences that it breaks (at most FIELD_RULES), returns
	 * how many. */
	size_t (*rules)(struct str value, struct str *ret_sentences);
	bool rules_come_last; /* asked only of a text that is right otherwise: DRF's validate_<field> */
	/* UPLOAD: 0, or a negative error whose reason is the message.  Must not yield. */
	int (*file_rule)(const struct upload *);
	const struct resource *refers; /* REFERENCE, EMBED, MANY, KEYS */
	const char *through;           /* MANY: the column there that holds our key */
	/* MANY, KEYS: a table of pairs, its column with our key and the one with theirs. */
	const char *link, *link_own, *link_other;
	const char
		*sorted; /* MANY, KEYS: SQL over their alias t; NULL: the other resource's order */
	const char *const *
		shape; /* EMBED, MANY: which fields of the other resource, in this order, NULL at the
				     end; NULL: what its lists show */
	enum nesting nested;
	unsigned most_rows;            /* NESTED_REPLACED, NESTED_MATCHED: more are refused */
	bool is_unique;                /* asked before saving; the index decides without a race */
	const char *unique_constraint; /* its name in the database */
	const char *unique_words;      /* NULL: "<model> with this <field> already exists." */
	bool is_left_out_of_bulk;      /* not in the answer to a change of several rows */
	/* Instead of the type's own form.  Writes one JSON value.  Must not yield. */
	void (*render)(struct request *, struct json_writer *, const struct row *);
	bool is_slug;    /* TEXT: letters, digits, '-' and '_', for the document */
	bool is_untyped; /* OPTIONS does not tell its type: a method or a read-only property to DRF */
	/* EMBED, MANY with a SHAPE: the name of that shape in the document; NULL: what the other resource's
	 * lists show */
	const char *shape_name;
	const struct form
		*form; /* EMBED, MANY of an answer by hand: what stands there (operation.h) */
	const char *help;
};

/* What a column of PostgreSQL's `integer` holds. */
#define INTEGER_LEAST "-2147483648"
#define INTEGER_MOST  "2147483647"

/* clang-format off */
#define FIELD(name_, type_, ...) { .name = (name_), .type = FIELD_##type_, ##__VA_ARGS__ }
#define COLUMN(name_)        .column = (name_)
#define COMPUTED(sql_)       .sql = (sql_), .is_read_only = true
/* Taken from clients for the hooks, shown as the expression has it. */
#define SHOWN_AS(sql_)       .sql = (sql_)
#define REQUIRED             .is_required = true
#define REQUIRED_ONCE        .is_required_once = true
#define READ_ONLY            .is_read_only = true
#define WRITE_ONLY           .is_write_only = true
#define HIDDEN               .is_hidden = true, .is_read_only = true
#define NULLABLE             .is_nullable = true
#define BLANK                .may_be_blank = true
#define KEEP_SPACES          .keeps_spaces = true
#define KEEP_DOMAIN          .keeps_domain = true
#define FIXED                .is_fixed = true
#define DETAIL               .shown = SHOWN_IN_DETAIL
#define RETRIEVAL            .shown = SHOWN_IN_RETRIEVAL
#define INPUT_ONLY           .is_not_a_column = true, .is_write_only = true
#define LENGTH(most_)        .most_length = (most_)
/* A bound of our own, which clients are not told of. */
#define BOUND(most_)         .most_length = (most_), .is_most_untold = true
#define DIGITS(digits_, places_) .digits = (digits_), .places = (places_)
#define AT_LEAST(text_, words_)  .least = (text_), .least_words = (words_)
#define AT_MOST(text_, words_)   .most = (text_), .most_words = (words_)
#define USUALLY(text_)       .usual = (text_)
#define BY_HOOK              .is_filled_by_hook = true
#define NOW_AT_CREATION      .is_now_at_creation = true, .is_read_only = true
#define NOW_AT_SAVE          .is_now_at_save = true, .is_read_only = true
#define ONE_OF(list_)        .choices = (list_)
#define PATTERN(fn_, words_) .has_pattern = (fn_), .pattern_words = (words_)
#define RULES(fn_)           .rules = (fn_)
#define LAST_RULES(fn_)      .rules = (fn_), .rules_come_last = true
#define FILE_RULE(fn_)       .file_rule = (fn_)
#define REFERS(resource_)    .refers = (resource_)
#define THROUGH(column_)     .through = (column_)
#define LINK(table_, own_, other_) .link = (table_), .link_own = (own_), .link_other = (other_)
#define SORTED(sql_)         .sorted = (sql_)
#define SHAPE(names_)        .shape = (names_)
#define WRITTEN              .nested = NESTED_ONE
#define REPLACED(most_)      .nested = NESTED_REPLACED, .most_rows = (most_)
#define MATCHED(most_)       .nested = NESTED_MATCHED, .most_rows = (most_)
#define UNIQUE(constraint_, words_) .is_unique = true, .unique_constraint = (constraint_), .unique_words = (words_)
#define OF(field_)           .element = (field_)
#define MAY_BE_EMPTY         .may_be_empty = true
/* A figure that the replaced program has not worked out there. */
#define NOT_IN_BULK_CHANGES  .is_left_out_of_bulk = true
#define RENDER(fn_)          .render = (fn_)
#define SLUG                 .is_slug = true
#define UNTYPED              .is_untyped = true
#define CALLED(name_)        .shape_name = (name_)
#define OF_FORM(form_)       .form = (form_)
#define HELP(text_)          .help = (text_)
/* clang-format on */

/* Stands for other rows: no column of its own. */
static inline bool field_is_relation(const struct field *f)
{
	return f->type == FIELD_EMBED || f->type == FIELD_MANY || f->type == FIELD_KEYS;
}

/* A column that a write sets. */
static inline bool field_is_stored(const struct field *f)
{
	return f->sql == NULL && !f->is_not_a_column && !field_is_relation(f);
}

/* Never taken from a body. */
static inline bool field_is_read_only(const struct field *f)
{
	return f->is_read_only || f->is_hidden || f->type == FIELD_KEY;
}

static inline const char *field_column(const struct field *f)
{
	return f->column != NULL ? f->column : f->name;
}

/* A name or a choice to people: "created_at" is "Created at", "GOLD" is "Gold". */
struct buf;
void field_label_add(struct buf *, const char *name);

/* Contradictions in a table: 0 or -EINVAL with a sentence that names the field. */
int field_table_check(const char *resource, const struct field *, size_t count) _must_check_;

#endif
