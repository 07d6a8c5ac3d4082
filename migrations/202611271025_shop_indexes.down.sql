-- no-transaction
DROP INDEX CONCURRENTLY IF EXISTS products_brand_id_idx;
DROP INDEX CONCURRENTLY IF EXISTS products_supplier_id_idx;
DROP INDEX CONCURRENTLY IF EXISTS products_manufacturer_id_idx;
DROP INDEX CONCURRENTLY IF EXISTS products_popular_idx;
DROP INDEX IF EXISTS products_owner_id_idx;
CREATE INDEX CONCURRENTLY products_owner_id_idx ON products (owner_id);
DROP INDEX CONCURRENTLY IF EXISTS products_owner_active_idx;
