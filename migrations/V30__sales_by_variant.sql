-- The unit of sale is a variant, so the lines of carts and orders refer to variants. A product without options has one with
-- its own id.

-- A copy of the names and values of its options as JSON, in the order of the options: [{"name":"Size","value":"M"}]
ALTER TABLE variants ADD COLUMN options TEXT NOT NULL DEFAULT '[]';

-- `shop verify` reports products without a variant; the lines below need one.
INSERT INTO variants (id, product_id, options_key, created_at, updated_at, deleted_at)
SELECT id, id, '', created_at, created_at, deleted_at FROM products p
WHERE NOT EXISTS (SELECT 1 FROM variants v WHERE v.id = p.id) ORDER BY id;

-- The cart of an account has the id of the account. It is created with its first line.
CREATE TABLE carts (
    id {id} NOT NULL PRIMARY KEY,
    user_id {id} NOT NULL UNIQUE REFERENCES users (id),
    created_at {int} NOT NULL
) {clustered};
INSERT INTO carts (id, user_id, created_at)
SELECT user_id, user_id, min(added_at) FROM cart_items GROUP BY user_id ORDER BY user_id;

CREATE TABLE cart_lines (
    cart_id {id} NOT NULL REFERENCES carts (id),
    variant_id {id} NOT NULL REFERENCES variants (id),
    quantity {int} NOT NULL CHECK (quantity > 0),
    added_at {int} NOT NULL,
    PRIMARY KEY (cart_id, variant_id)
) {clustered};
INSERT INTO cart_lines (cart_id, variant_id, quantity, added_at)
SELECT user_id, product_id, quantity, added_at FROM cart_items ORDER BY user_id, product_id;
DROP TABLE cart_items;

-- SKU, name, options and price are those of the purchase. `position` counts from 0 in the order of the products' ids.
CREATE TABLE order_lines (
    order_id {id} NOT NULL REFERENCES orders (id),
    position {int} NOT NULL,
    variant_id {id} NOT NULL REFERENCES variants (id),
    product_id {id} NOT NULL REFERENCES products (id),
    sku TEXT,
    name TEXT NOT NULL,
    options TEXT NOT NULL,
    price {int} NOT NULL,
    quantity {int} NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, position)
) {clustered};
INSERT INTO order_lines (order_id, position, variant_id, product_id, name, options, price, quantity)
SELECT order_id, row_number() OVER (PARTITION BY order_id ORDER BY product_id) - 1, product_id, product_id, name, '[]',
    price, quantity
FROM order_items ORDER BY order_id, product_id;
DROP TABLE order_items;

-- A key belongs to an account or to a cart of a guest.
CREATE TABLE idempotency_answers (
    owner_id {id} NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash {bytes} NOT NULL,
    status {int} NOT NULL,
    headers TEXT NOT NULL,
    body {bytes} NOT NULL,
    created_at {int} NOT NULL,
    PRIMARY KEY (owner_id, route, key)
) {strict};
INSERT INTO idempotency_answers (owner_id, route, key, body_hash, status, headers, body, created_at)
SELECT user_id, route, key, body_hash, status, headers, body, created_at FROM idempotency_keys;
DROP TABLE idempotency_keys;
CREATE INDEX idempotency_answers_by_time ON idempotency_answers (created_at);
