/*
 * json.h - the one scanner and the one writer of JSON on the wire.
 *
 * Reading.  json_parse checks the whole text (RFC 8259 as CPython's json reads it) and builds a
 * tree in an arena.  Numbers and strings stay slices of the input, so 2**70, 0.1 and lone
 * surrogates pass through untouched; the input must outlive the tree.  Not recursive: depth costs
 * bytes, not stack. Errors carry CPython's sentence and position, counted in characters: "Expecting
 * value: line 1 column 1 (char 0)".
 *
 * Limits are not optional: a depth, and the bytes are bounded by whoever read them.  A duplicate
 * key: the last one wins, as in Python (json_get finds the last).
 *
 * Writing.  json_writer appends to a buf.  It knows where commas go and must be closed in order;
 * the escapes are DRF's (JSON_ESCAPE_DRF: UTF-8 as it is) or Python json.dumps's
 * (JSON_ESCAPE_ASCII: \uXXXX). Floats are the shortest text that reads back the same, in Python's
 * repr form (1.0, 1e+16).
 *
 * jansson serves settings, tokens and control messages; this serves bodies.  One source file cannot
 * include both headers (both say JSON_OBJECT), and no function here may have the name of one of
 * jansson's: the dynamic linker would give ours to libjwt.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json {
	enum json_type type;
	bool is_plain; /* string: no backslash inside, so `text` is the value */
	bool key_is_plain;
	bool is_integer; /* number: no fraction, no exponent */
	uint32_t count;  /* array, object: how many members */
	struct str text; /* number: its characters; string: between the quotes, escapes as they are;
			    array, object: the whole raw text with its brackets */
	struct str key;  /* member of an object: the key between its quotes, escapes as they are */
	struct json *first; /* array, object */
	struct json *next;  /* sibling, in the order of the text */
};

enum json_dialect {
	JSON_STRICT, /* DRF's request parser: NaN and Infinity refused with its words */
	JSON_PYTHON, /* json.loads: NaN, Infinity, -Infinity are numbers */
};

struct json_error {
	size_t at;          /* byte offset */
	char sentence[160]; /* CPython's, with line, column and char */
};

/*
 * 0; -EINVAL with *ret_error filled (not valid JSON, not valid UTF-8, too deep: "Nesting is deeper
 * than 32 levels: line …").  *ret_tree is written only on success.
 */
int json_parse(struct arena *, struct str text, enum json_dialect, unsigned max_depth,
	       struct json **ret_tree, struct json_error *ret_error) _must_check_;

/* The last member with this key; NULL if there is none or `object` is not an object. */
const struct json *json_get(const struct json *object, struct str key);

/* The value of a string, escapes resolved.  A lone surrogate becomes the three bytes Python's
 * surrogatepass would write.  Borrows the input when the text is plain. */
struct str json_text(struct arena *, const struct json *);
struct str json_key(struct arena *, const struct json *member);
int json_to_i64(const struct json *, int64_t *ret)
	_must_check_; /* -EINVAL: not a whole number; -ERANGE */
int json_to_double(const struct json *, double *ret)
	_must_check_; /* NaN and infinities pass in JSON_PYTHON */
/* The value as it was written, a string with its quotes. */
struct str json_raw(const struct json *);
bool json_is_true(const struct json *); /* type is JSON_TRUE; NULL: false */

enum json_escape { JSON_ESCAPE_DRF, JSON_ESCAPE_ASCII };

struct json_writer {
	struct buf *out;
	enum json_escape escape;
	bool is_spaced; /* ", " and ": " as json.dumps writes by default */
	unsigned depth;
	uint64_t has_members[4]; /* one bit a level; 256 levels */
	bool after_key;
};

void json_writer_init(struct json_writer *, struct buf *out, enum json_escape, bool is_spaced);
void json_begin_object(struct json_writer *);
void json_end_object(struct json_writer *);
void json_begin_array(struct json_writer *);
void json_end_array(struct json_writer *);
void json_put_key(struct json_writer *, struct str);
/* A key that was made before, with quotes, colon and what follows it: `"name":`. */
void json_put_ready_key(struct json_writer *, struct str);
void json_put_str(struct json_writer *,
		  struct str); /* absent: null; must be UTF-8 (or surrogatepass) */
/* A text that needs no escapes, as the caller knows: an identifier, a decimal. */
void json_put_plain(struct json_writer *, struct str);
void json_put_c(struct json_writer *, const char *);
void json_put_i64(struct json_writer *, int64_t);
void json_put_double(struct json_writer *, double); /* NaN and infinities as Python writes them */
void json_put_bool(struct json_writer *, bool);
void json_put_null(struct json_writer *);
void json_put_raw(struct json_writer *, struct str json); /* already JSON: checked by the caller */
void json_put_tree(struct json_writer *,
		   const struct json *); /* normalised: numbers as they were */

/* The quoted form alone, for keys and logs. */
/* The same document with `indent` spaces a level, as Python's json.dumps writes it.  `compact` is
 * valid JSON without white space. */
void json_indent(struct buf *out, struct str compact, unsigned indent);
void json_escape_add(struct buf *, struct str text, enum json_escape);
/* repr() of a Python float. */
void json_double_add(struct buf *, double);

#endif
