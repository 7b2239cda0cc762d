-- Categories keep the count of their products.
CREATE TABLE categories (
    id {id} NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE,
    product_count {int} NOT NULL
) {clustered};

-- Soft-deleted products stay for the orders that name them. `images` is a copy of what
-- `product_images` says, kept beside so that showing a product reads one row.
CREATE TABLE products (
    id {id} NOT NULL PRIMARY KEY,
    stock {int} NOT NULL CHECK (stock >= 0),
    price {int} NOT NULL,
    category_id {id} REFERENCES categories (id),
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    deleted_at {int},
    images TEXT NOT NULL DEFAULT '[]',
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    slug TEXT NOT NULL,
    description TEXT NOT NULL
) {strict};
-- `deleted_at` makes them cover what finding a page reads.
CREATE INDEX products_by_time ON products (created_at, id, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX products_by_price ON products (price, id, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX products_by_name ON products (name_key, id, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX products_by_category_time ON products (category_id, created_at, id, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX products_by_category_price ON products (category_id, price, id, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX products_by_category_name ON products (category_id, name_key, id, deleted_at) WHERE deleted_at IS NULL;

-- Counts that are kept instead of counted: how many products the catalog shows.
CREATE TABLE kept_counts (
    name TEXT NOT NULL PRIMARY KEY,
    value {int} NOT NULL
) {strict};
INSERT INTO kept_counts (name, value) VALUES ('products', 0);

CREATE TABLE product_images (
    id {id} NOT NULL PRIMARY KEY,
    product_id {id} NOT NULL REFERENCES products (id),
    position {int} NOT NULL,
    image_key TEXT NOT NULL UNIQUE,
    content_type TEXT NOT NULL,
    width {int} NOT NULL,
    height {int} NOT NULL
) {strict};
CREATE INDEX product_images_by_product ON product_images (product_id, position);

-- Every change of stock: a product's stock is the sum of its movements. `order_id` names the order
-- behind it, `note` an admin's reason.
CREATE TABLE stock_movements (
    id {id} NOT NULL PRIMARY KEY,
    product_id {id} NOT NULL REFERENCES products (id),
    delta {int} NOT NULL,
    cause TEXT NOT NULL,
    order_id {id},
    note TEXT,
    at {int} NOT NULL
) {clustered};
