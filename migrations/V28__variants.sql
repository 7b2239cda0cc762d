-- The unit of sale is a variant. A product without options has one, whose id is that of the product; its price and its
-- stock are those of the product (NULL here), so that a sale changes one row. The variants of a product with options
-- have their own.
CREATE TABLE variants (
    id {id} NOT NULL PRIMARY KEY,
    product_id {id} NOT NULL REFERENCES products (id),
    -- The ids of its option values, in the order of the options; '' without options.
    options_key TEXT NOT NULL,
    price {int},
    stock {int} CHECK (stock >= 0),
    compare_at_price {int},
    sku TEXT,
    -- The normalized SKU, which is unique.
    sku_key TEXT,
    barcode TEXT,
    weight_grams {int},
    requires_shipping {int} NOT NULL DEFAULT 1,
    image_id {id},
    position {int} NOT NULL DEFAULT 0,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    deleted_at {int},
    CHECK ((options_key = '') = (price IS NULL) AND (options_key = '') = (stock IS NULL)),
    CHECK ((sku IS NULL) = (sku_key IS NULL))
) {clustered};
CREATE UNIQUE INDEX variants_by_options ON variants (product_id, options_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX variants_by_sku ON variants (sku_key) WHERE sku_key IS NOT NULL AND deleted_at IS NULL;

INSERT INTO variants (id, product_id, options_key, created_at, updated_at, deleted_at)
SELECT id, id, '', created_at, created_at, deleted_at FROM products ORDER BY id;
