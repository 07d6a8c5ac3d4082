/*
 * nested.h - rows inside a row that are written with it: writable nested serializers of DRF, with the update
 * that DRF leaves to each project.
 *
 *     FIELD("address",    EMBED, COLUMN("address_id"), WRITTEN, REFERS(&address_resource)),
 *     FIELD("address_id", UUID,  HIDDEN, NULLABLE),
 *     FIELD("lines",      MANY,  THROUGH("order_id"), REPLACED(100), REFERS(&line_resource), SHAPE(line_shape)),
 *
 *   WRITTEN       one row, of which the column of ours holds the key.  Made or changed with ours; null removes it.
 *   REPLACED(n)   up to n rows that point at ours.  What is sent takes the place of all that were there.
 *   MATCHED(n)    the same, but a row sent with its "id" is changed, one without is new, and those that are
 *                 not sent go.
 *
 * What is not sent stays as it is.  The fields that may be sent are those that are shown (SHAPE), by the other
 * resource's own rules, hooks included; its permissions are not asked: who may write the outer row
 * writes what belongs to it.  The column that points at the outer row is set, never read.
 *
 * Errors stand where the wrong thing stands, in DRF's words and forms (drf-wire §5.1): an object for one row, an
 * array with {} for each good one for many.  All is one transaction, and one statement or two a row,
 * beside one that removes.  Rows that are removed so are told to no listener and no hook.
 *
 * A form carries them as DRF reads them (form_parts.h): "address.city", "lines[0]sku".  It cannot say null, nor
 * that there are none: a field of which nothing stands there is absent.
 */
#ifndef RESOURCE_NESTED_H
#define RESOURCE_NESTED_H

#include "resource/resource.h"

/* At start: 0, or -EINVAL with a sentence. */
int nested_check_table(const struct resource *) _must_check_;

/* The steps of a change (save.c), each for all such fields.  Messages go into its errors; after nested_write_*
 * there may be new ones, and then the transaction is lost.  All yield. */
int nested_check(struct change *) may_yield _must_check_;
int nested_write_before(struct change *) may_yield _must_check_; /* what our row points at */
int nested_write_behind(struct change *)
	may_yield _must_check_;                /* what points at it: c->row is there */
void nested_finish(struct change *) may_yield; /* after the COMMIT */

#endif
