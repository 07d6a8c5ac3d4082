#include "resource/validate.h"

#include "base/datetime.h"
#include "base/world.h"
#include "resource/coerce.h"
#include "resource/resource.h"

static void values_init(struct values *v, struct arena *arena, const struct field *fields,
			size_t count)
{
	*v = (struct values){
		.fields = fields,
		.count = count,
		.text = arena_array(arena, struct str, count),
		.sent = arena_array(arena, struct str, count),
		.is_given = arena_array(arena, bool, count),
		.uploads = arena_array(arena, const struct upload *, count),
	};
}

struct values values_copy(const struct values *v, struct arena *arena)
{
	struct values copy;

	values_init(&copy, arena, v->fields, v->count);
	memcpy(copy.text, v->text, v->count * sizeof(v->text[0]));
	memcpy(copy.sent, v->sent, v->count * sizeof(v->sent[0]));
	memcpy(copy.is_given, v->is_given, v->count * sizeof(v->is_given[0]));
	memcpy(copy.uploads, v->uploads, v->count * sizeof(v->uploads[0]));
	return copy;
}

size_t values_place(const struct values *v, const char *field)
{
	for (size_t i = 0; i < v->count; i++) {
		if (strcmp(v->fields[i].name, field) == 0)
			return i;
	}
	must_not_reach("a field that its table does not have");
}

struct str values_get(const struct values *v, const char *field)
{
	return v->text[values_place(v, field)];
}

bool values_given(const struct values *v, const char *field)
{
	return v->is_given[values_place(v, field)];
}

void values_set(struct values *v, const char *field, struct str text)
{
	size_t place = values_place(v, field);

	v->text[place] = text;
	v->is_given[place] = true;
}

/* Every value of a name, in the order sent; an absent name is an empty list, unless the form changes a part
 * only (ManyRelatedField.get_value). */
static struct input find_list(struct arena *arena, const struct body *body, const char *name,
			      enum validate_mode mode)
{
	struct form_item *items = arena_array(arena, struct form_item, body->field_count + 1);
	struct input in = { .items = items };

	for (size_t i = 0; i < body->field_count; i++) {
		if (str_eq_c(body->fields[i].name, name))
			items[in.item_count++].text = body->fields[i].value;
	}
	if (in.item_count == 0 && mode == VALIDATE_CHANGE)
		in.items = NULL;
	return in;
}

/* ListField.get_value: every value of a name, or those of "name[0]", "name[1]" … if the form is a whole one; nothing
 * of either is absent. */
static struct input find_array(struct arena *arena, const struct body *body, const char *name,
			       enum validate_mode mode)
{
	struct input in = find_list(arena, body, name, VALIDATE_CHANGE);

	if (in.items == NULL && mode != VALIDATE_CHANGE)
		in.item_count = form_list(arena, body, name, &in.items);
	return in;
}

/* Whether the form has anything of rows that are written with it (nested.h). */
static bool has_nested(struct arena *arena, const struct body *body, const struct field *f)
{
	const struct form_item *items;

	return f->nested == NESTED_ONE ? form_row(arena, body, f->name) != NULL
				       : form_list(arena, body, f->name, &items) > 0;
}

/* The last one of a name wins, as in Django's QueryDict; a file wins over a text. */
static struct input find_input(struct arena *arena, const struct body *body, const struct field *f,
			       enum validate_mode mode)
{
	const char *name = f->name;
	struct input in = { 0 };

	if (body->kind == BODY_JSON) {
		in.json = json_get(body->json, str_c(name));
		return in;
	}
	if (f->type == FIELD_KEYS)
		return find_list(arena, body, name, mode);
	if (f->type == FIELD_ARRAY)
		return find_array(arena, body, name, mode);
	for (size_t i = body->upload_count; i-- > 0;) {
		if (str_eq_c(body->uploads[i].name, name)) {
			in.upload = &body->uploads[i];
			return in;
		}
	}
	for (size_t i = body->field_count; i-- > 0;) {
		if (str_eq_c(body->fields[i].name, name)) {
			in.text = body->fields[i].value;
			return in;
		}
	}
	return in;
}

enum presence { PRESENT, ABSENT, IS_NULL };

/* What DRF's Field.get_value makes of a form's absent and empty values. */
static enum presence form_presence(const struct field *f, struct input *in, enum validate_mode mode)
{
	bool is_required = f->is_required || (f->is_required_once && mode == VALIDATE_CREATE);

	if (input_is_absent(in)) {
		if (mode == VALIDATE_CHANGE || f->type != FIELD_BOOLEAN)
			return ABSENT;
		if (f->is_nullable)
			return IS_NULL;
		in->text = STR("false");
		return PRESENT;
	}
	if (in->upload != NULL || in->items != NULL || in->text.len > 0)
		return PRESENT;
	if (f->is_nullable)
		return f->may_be_blank ? PRESENT : IS_NULL;
	if (!is_required)
		return f->may_be_blank ? PRESENT : ABSENT;
	return f->type == FIELD_REFERENCE ? IS_NULL : PRESENT; /* RelatedField.run_validation */
}

static enum presence json_presence(const struct field *f, const struct input *in)
{
	if (in->json == NULL)
		return ABSENT;
	if (in->json->type == JSON_NULL)
		return IS_NULL;
	/* A relation reads "" as null. */
	if (f->type == FIELD_REFERENCE && in->json->type == JSON_STRING && in->json->text.len == 0)
		return IS_NULL;
	return PRESENT;
}

/* A decimal reads blanks as null, where it may be null. */
static bool is_blank_decimal(const struct field *f, const struct input *in)
{
	bool is_text = in->json == NULL ? in->upload == NULL : in->json->type == JSON_STRING;
	struct str text = in->json == NULL ? in->text : in->json->text;

	return f->type == FIELD_DECIMAL && f->is_nullable && is_text && python_strip(text).len == 0;
}

static bool is_writable(const struct field *f, enum validate_mode mode)
{
	return !field_is_read_only(f) && (!f->is_fixed || mode == VALIDATE_CREATE);
}

static void validate_field(struct errors *errors, const struct body *body, struct values *v,
			   size_t place, enum validate_mode mode)
{
	const struct field *f = &v->fields[place];
	struct input in = find_input(&errors->rq->arena, body, f, mode);
	enum presence presence;

	if (body->kind == BODY_JSON)
		presence = json_presence(f, &in);
	else if (f->nested != NESTED_NOT)
		presence = has_nested(&errors->rq->arena, body, f) ? PRESENT : ABSENT;
	else
		presence = form_presence(f, &in, mode);
	if (presence == PRESENT && is_blank_decimal(f, &in))
		presence = IS_NULL;
	if (presence == ABSENT) {
		bool is_required = f->is_required ||
				   (f->is_required_once && mode == VALIDATE_CREATE);

		if (is_required && mode != VALIDATE_CHANGE)
			errors_add(errors, f->name,
				   f->type == FIELD_UPLOAD ? "No file was submitted."
							   : "This field is required.");
		return;
	}
	if (presence == IS_NULL) {
		if (!f->is_nullable) {
			errors_add(errors, f->name, "This field may not be null.");
			return;
		}
		v->text[place] = STR_NULL;
		v->is_given[place] = true;
		return;
	}
	if (f->nested != NESTED_NOT) { /* nested.c looks at it */
		v->is_given[place] = true;
		return;
	}
	if (!coerce(errors, f, &in, &v->text[place])) {
		v->is_given[place] = f->type == FIELD_KEYS;
		return;
	}
	v->uploads[place] = in.upload;
	v->sent[place] = in.json != NULL ? python_text(&errors->rq->arena, in.json) : in.text;
	v->is_given[place] = true;
}

struct str values_now(struct arena *arena)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	datetime_add_python(&text, now_realtime());
	return arena_str(arena, buf_str(&text));
}

static bool is_among(const char *const *names, const struct field *f)
{
	if (names == NULL)
		return true;
	while (*names != NULL && strcmp(*names, f->name) != 0)
		names++;
	return *names != NULL;
}

static bool is_preset(const struct preset *presets, const struct field *f)
{
	for (const struct preset *p = presets; p != NULL && p->field != NULL; p++) {
		if (strcmp(p->field, f->name) == 0)
			return true;
	}
	return false;
}

void validate_parsed(const struct validation *v, const struct body *body, struct errors *errors,
		     struct values *ret_values)
{
	values_init(ret_values, &errors->rq->arena, v->fields, v->count);
	for (const struct preset *p = v->presets; p != NULL && p->field != NULL; p++)
		values_set(ret_values, p->field, p->value);
	if (body->kind == BODY_JSON && body->json->type == JSON_NULL) {
		errors_add(errors, NULL, "No data provided");
		return;
	}
	if (body->kind == BODY_JSON && body->json->type != JSON_OBJECT) {
		errors_add(errors, NULL, "Invalid data. Expected a dictionary, but got %s.",
			   python_type_name(body->json));
		return;
	}
	for (size_t i = 0; i < v->count; i++) {
		const struct field *f = &v->fields[i];

		if (is_writable(f, v->mode) && !is_preset(v->presets, f) && is_among(v->only, f) &&
		    f->shown <= v->most_shown)
			validate_field(errors, body, ret_values, i, v->mode);
	}
}

int validate_body(struct request *rq, const struct field *fields, size_t count,
		  enum validate_mode mode, const enum body_kind *accepts, struct errors *errors,
		  struct values *ret_values)
{
	const struct validation all = {
		.fields = fields, .count = count, .mode = mode, .most_shown = SHOWN_IN_RETRIEVAL
	};
	const struct body *body;
	int r;

	r = request_body(rq, accepts, &body);
	if (r == 0)
		validate_parsed(&all, body, errors, ret_values);
	return r;
}
