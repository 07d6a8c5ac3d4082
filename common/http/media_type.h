/*
 * media_type.h - "type/sub; name=value" as DRF and Django read it: Accept, Content-Type, the heads
 * of multipart parts.
 *
 * Nothing here is refused: what is not a media type matches none.  All parts are slices of the
 * input. Source: DRF's utils/mediatypes.py, Django's utils/http.py (reference: drf-wire §3).
 */
#ifndef HTTP_MEDIA_TYPE_H
#define HTTP_MEDIA_TYPE_H

#include "base/arena.h"

struct media_type {
	struct str main, sub;  /* sub is empty without '/' */
	struct str parameters; /* what follows the first ';'; absent if there was none */
};

struct media_type media_type_parse(struct str);
/* May what is offered serve what is asked for?  "*" matches on either side; letters' case does not
 * count. */
bool media_type_matches(struct str offered, const struct media_type *asked);
/* 3 type/sub with a parameter other than q, 2 type/sub, 1 type/anything, 0 anything. */
int media_type_precedence(const struct media_type *);

/*
 * One parameter after the other; values without their quotes and backslashes (copied into the arena
 * only if there were backslashes).  Pieces without '=' are passed over.
 */
bool parameter_next(struct arena *, struct str *rest, struct str *ret_name, struct str *ret_value);
/* The last one of that name, in any case; absent if there is none. */
struct str parameter_find(struct arena *, struct str parameters, struct str name);

#endif
