#include "jansson_side.h"

#include <jansson.h>

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

/* Numbers beyond int64 and double, lone surrogates, NUL in a key: Python reads them, jansson does
 * not. */
static const char *const limits[] = {
	"too big integer", "too big negative integer", "real number overflow",
	"invalid Unicode", "NUL byte in object key",
};

bool jansson_accepts(struct str text, bool *ret_is_its_limit)
{
	json_error_t error;
	json_t *tree = json_loadb(text.at, text.len, FLAGS, &error);
	bool is_accepted = tree != NULL;

	*ret_is_its_limit = false;
	if (!is_accepted)
		for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
			*ret_is_its_limit |= strncmp(error.text, limits[i], strlen(limits[i])) == 0;
	json_decref(tree);
	return is_accepted;
}

bool jansson_reads_the_same(struct str a, struct str b)
{
	json_t *x = json_loadb(a.at, a.len, FLAGS, NULL), *y = json_loadb(b.at, b.len, FLAGS, NULL);
	bool is_same = x != NULL && y != NULL && json_equal(x, y);

	json_decref(x);
	json_decref(y);
	return is_same;
}
