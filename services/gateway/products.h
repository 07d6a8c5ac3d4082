/*
 * products.h - what belongs to a product: its pictures and variants; they are written by its owner or staff.
 */
#ifndef SERVICES_GATEWAY_PRODUCTS_H
#define SERVICES_GATEWAY_PRODUCTS_H

#include "shop.h"

/* Snippets over a row t with a product_id. */
#define PRODUCT_OWNER "(SELECT p.owner_id FROM products p WHERE p.id = t.product_id)"
#define PRODUCT_EXISTS                                                                             \
	"EXISTS (SELECT FROM products p WHERE p.id = t.product_id AND NOT p.is_deleted)"

/* A hook `check`: at creation -E_FORBIDDEN unless the product that the field "product" names is the caller's
 * or he is staff.  Yields. */
int product_part_check(struct change *) may_yield _must_check_;
/* 0 or -E_FORBIDDEN for this product, which must be there.  Yields. */
int product_allow_parts(struct request *, struct db_tx *, struct str product)
	may_yield _must_check_;

/* Writers of one product's pictures wait for each other here, so that two firsts cannot both become
 * primary.  Yields. */
int product_images_lock(struct request *, struct db_tx *, struct str product)
	may_yield _must_check_;
/* No picture of it is the primary one.  Yields. */
int product_images_clear_primary(struct request *, struct db_tx *, struct str product)
	may_yield _must_check_;

#endif
