-- What gateways keep of these tables (common/resource/cached.h) ends whoever writes them: the argument is the table whose answers show
-- the rows.  Once a statement, and a transaction sends equal notices once.  Gateways end it themselves and are left out: NOTIFY takes a
-- lock of the whole instance at commit.  `users` tells by its own triggers.  Each table is locked for a moment against writers.
CREATE FUNCTION apium_cached_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('apium_users', 'table ' || TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON categories
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('categories');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON products
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('products');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON products_tags
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('products');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON products_collections
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('products');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON products_related_products
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('products');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON products_similar_products
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('products');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON product_images
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('product_images');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON product_variants
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('product_variants');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON reviews
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('reviews');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tags
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('tags');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON posts
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('posts');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON posts_tags
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('posts');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON comments
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('comments');
CREATE TRIGGER apium_cached_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON user_profiles
    FOR EACH STATEMENT WHEN (current_setting('application_name') <> 'apium-gateway')
    EXECUTE FUNCTION apium_cached_changed('user_profiles');
