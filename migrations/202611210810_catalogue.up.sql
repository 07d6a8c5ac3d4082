-- Categories, products and their pictures.
CREATE TABLE categories (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    name varchar(100) NOT NULL,
    slug varchar(120) NOT NULL,
    description text NOT NULL,
    CONSTRAINT categories_name_key UNIQUE (name),
    CONSTRAINT categories_slug_key UNIQUE (slug)
);
CREATE INDEX categories_created_at_idx ON categories (created_at);
CREATE INDEX categories_updated_at_idx ON categories (updated_at);

-- A generated column may not read another one, so price and discount are written out where both are needed;
-- final_price rounds the difference of the unrounded expressions.
CREATE TABLE products (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    is_deleted boolean NOT NULL,
    deleted_at timestamptz,
    owner_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name varchar(100) NOT NULL,
    slug varchar(120) NOT NULL,
    sku varchar(64),
    description text NOT NULL,
    price numeric(10, 2) NOT NULL,
    price_eur numeric(10, 2),
    eur_to_usd_rate numeric(5, 4) NOT NULL,
    quantity integer NOT NULL,
    unit_discount numeric(5, 2) NOT NULL,
    price_usd numeric(12, 2) GENERATED ALWAYS AS (coalesce(price_eur, price) * eur_to_usd_rate) STORED,
    discount_per_unit numeric(10, 2) GENERATED ALWAYS AS (
        CASE WHEN quantity > 100 THEN unit_discount * 0.1
             WHEN quantity > 50 THEN unit_discount * 0.05
             ELSE 0 END) STORED,
    final_price numeric(12, 2) GENERATED ALWAYS AS (
        coalesce(price_eur, price) * eur_to_usd_rate
        - CASE WHEN quantity > 100 THEN unit_discount * 0.1
               WHEN quantity > 50 THEN unit_discount * 0.05
               ELSE 0 END) STORED,
    discount_percentage numeric(5, 2) NOT NULL,
    stock integer NOT NULL,
    low_stock_threshold integer NOT NULL,
    category_id uuid REFERENCES categories (id) ON DELETE CASCADE,
    status varchar(20) NOT NULL,
    is_active boolean NOT NULL,
    is_published boolean NOT NULL,
    view_count integer NOT NULL,
    CONSTRAINT product_price_not_negative CHECK (price >= 0)
);
CREATE UNIQUE INDEX unique_live_product_slug ON products (slug) WHERE NOT is_deleted;
CREATE UNIQUE INDEX unique_live_product_sku ON products (sku) WHERE NOT is_deleted;
CREATE INDEX products_created_at_idx ON products (created_at);
CREATE INDEX products_updated_at_idx ON products (updated_at);
CREATE INDEX products_is_deleted_idx ON products (is_deleted);
CREATE INDEX products_owner_id_idx ON products (owner_id);
CREATE INDEX products_category_id_idx ON products (category_id);
CREATE INDEX products_status_created_idx ON products (status, created_at DESC);
CREATE INDEX discount_products_idx ON products (category_id, discount_percentage DESC, price)
    WHERE is_active AND stock > 0 AND discount_percentage > 0;
CREATE INDEX low_stock_expensive_idx ON products (stock, price DESC)
    WHERE stock < 10 AND price >= 100 AND is_active;

CREATE TABLE product_images (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    product_id uuid NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    image varchar(255) NOT NULL,
    alt_text varchar(255) NOT NULL,
    caption varchar(255) NOT NULL,
    is_primary boolean NOT NULL,
    sort_order integer NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    status varchar(20) NOT NULL,
    error text NOT NULL,
    variants jsonb NOT NULL,
    metadata jsonb NOT NULL
);
CREATE UNIQUE INDEX one_primary_image_per_product ON product_images (product_id) WHERE is_primary;
CREATE INDEX product_images_product_id_idx ON product_images (product_id, sort_order, id);
CREATE INDEX product_images_created_at_idx ON product_images (created_at);
CREATE INDEX product_images_updated_at_idx ON product_images (updated_at);
