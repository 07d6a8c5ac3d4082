#include "resource/caller.h"

#include "base/error.h"

/* Parentheses and `not` in one another. */
#define DEPTH_MOST 16

struct reading {
	const char *at;
	const struct request *rq; /* NULL: only its form is looked at */
	unsigned depth;
	bool is_wrong;
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || c == '_';
}

static void skip_blanks(struct reading *in)
{
	while (*in->at == ' ')
		in->at++;
}

/* The word that stands next, if it is this one. */
static bool take_word(struct reading *in, const char *word)
{
	size_t len = strlen(word);

	skip_blanks(in);
	if (strncmp(in->at, word, len) != 0 || is_letter(in->at[len]))
		return false;
	in->at += len;
	return true;
}

static bool take_sign(struct reading *in, char sign)
{
	skip_blanks(in);
	if (*in->at != sign)
		return false;
	in->at++;
	return true;
}

/* ('text') */
static struct str take_argument(struct reading *in)
{
	const char *end;

	if (in->at[0] != '(' || in->at[1] != '\'' || (end = strstr(in->at, "')")) == NULL ||
	    end == in->at + 1) {
		in->is_wrong = true;
		return STR("");
	}
	struct str argument = str_make(in->at + 2, (size_t) (end - in->at - 2));
	in->at = end + 2;
	return argument;
}

static bool has_permission(const struct request *rq, struct str codename)
{
	return rights_has_permission(rights_of(rq), codename);
}

static bool is_member(const struct request *rq, struct str group)
{
	return rights_is_member(rights_of(rq), group);
}

static bool is_signed_in(const struct request *rq, struct str none _unused_)
{
	return rq->caller != NULL;
}

static bool is_staff(const struct request *rq, struct str none _unused_)
{
	return rq->caller != NULL && rq->caller->is_staff;
}

static bool is_superuser(const struct request *rq, struct str none _unused_)
{
	return rq->caller != NULL && rq->caller->is_superuser;
}

static const struct word {
	const char *name;
	bool has_argument;
	bool (*holds)(const struct request *, struct str argument);
} words[] = {
	{ "has_perm", true, has_permission }, { "in_group", true, is_member },
	{ "signed_in", false, is_signed_in }, { "staff", false, is_staff },
	{ "superuser", false, is_superuser },
};

static bool read_any(struct reading *);

static bool read_one(struct reading *in)
{
	bool holds = false;

	if (++in->depth > DEPTH_MOST) {
		in->is_wrong = true;
	} else if (take_word(in, "not")) {
		holds = !read_one(in);
	} else if (take_sign(in, '(')) {
		holds = read_any(in);
		in->is_wrong = in->is_wrong || !take_sign(in, ')');
	} else {
		const struct word *word = words;

		while (word < words + ARRAY_SIZE(words) && !take_word(in, word->name))
			word++;
		if (word == words + ARRAY_SIZE(words)) {
			in->is_wrong = true;
		} else {
			struct str argument = word->has_argument ? take_argument(in) : STR("");

			holds = in->rq != NULL && word->holds(in->rq, argument);
		}
	}
	in->depth--;
	return holds;
}

static bool read_all(struct reading *in)
{
	bool holds = read_one(in);

	while (!in->is_wrong && take_word(in, "and"))
		holds = read_one(in) && holds;
	return holds;
}

static bool read_any(struct reading *in)
{
	bool holds = read_all(in);

	while (!in->is_wrong && take_word(in, "or"))
		holds = read_all(in) || holds;
	return holds;
}

int caller_check(const char *condition)
{
	struct reading in = { .at = condition };

	(void) read_any(&in);
	skip_blanks(&in);
	if (in.is_wrong || *in.at != '\0')
		return fail(-EINVAL, "the condition \"%s\" cannot be read at \"%s\"", condition,
			    in.at);
	return 0;
}

int caller_meets(struct request *rq, struct db_at at, const char *condition, bool *ret)
{
	struct reading in = { .at = condition, .rq = rq };
	const struct rights *rights;
	int r = 0;

	if (strchr(condition, '\'') != NULL)
		r = rights_read(rq, at, &rights);
	if (r < 0)
		return r;
	*ret = read_any(&in);
	must(!in.is_wrong); /* caller_check */
	return 0;
}
