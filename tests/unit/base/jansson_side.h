/*
 * jansson_side.h - what jansson says of a text, without its header: both it and base/json.h say
 * JSON_OBJECT.
 */
#ifndef TESTS_JANSSON_SIDE_H
#define TESTS_JANSSON_SIDE_H

#include "base/str.h"

/* Accepted; else *ret_is_its_limit: refused for a reason that is jansson's own, not JSON's. */
bool jansson_accepts(struct str text, bool *ret_is_its_limit);
/* Both are accepted and read the same. */
bool jansson_reads_the_same(struct str a, struct str b);

#endif
