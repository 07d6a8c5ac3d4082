DROP TABLE reviews, product_variants, products_similar_products, products_related_products, products_collections,
    products_tags;
ALTER TABLE products DROP COLUMN brand_id, DROP COLUMN supplier_id, DROP COLUMN manufacturer_id;
DROP TABLE collections, manufacturers, suppliers, brands;
