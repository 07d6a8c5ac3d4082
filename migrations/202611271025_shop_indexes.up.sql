-- no-transaction
-- Products may be many by now, and are written meanwhile.
DROP INDEX IF EXISTS products_brand_id_idx;
CREATE INDEX CONCURRENTLY products_brand_id_idx ON products (brand_id);
DROP INDEX IF EXISTS products_supplier_id_idx;
CREATE INDEX CONCURRENTLY products_supplier_id_idx ON products (supplier_id);
DROP INDEX IF EXISTS products_manufacturer_id_idx;
CREATE INDEX CONCURRENTLY products_manufacturer_id_idx ON products (manufacturer_id);
DROP INDEX IF EXISTS products_popular_idx;
CREATE INDEX CONCURRENTLY products_popular_idx ON products (view_count DESC, id) WHERE is_active AND NOT is_deleted;
-- Serves what the old one did.
DROP INDEX IF EXISTS products_owner_active_idx;
CREATE INDEX CONCURRENTLY products_owner_active_idx ON products (owner_id, is_active);
DROP INDEX CONCURRENTLY IF EXISTS products_owner_id_idx;
