-- Orders are never deleted. Their ids begin with the moment of `created_at`, so that the order of
-- ids is the order of time.
CREATE TABLE orders (
    id {id} NOT NULL PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    user_id {id} NOT NULL REFERENCES users (id),
    status TEXT NOT NULL,
    total {int} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
) {clustered};
CREATE INDEX orders_by_user ON orders (user_id, id);

-- Names and prices are those of the purchase.
CREATE TABLE order_items (
    order_id {id} NOT NULL REFERENCES orders (id),
    product_id {id} NOT NULL REFERENCES products (id),
    name TEXT NOT NULL,
    price {int} NOT NULL,
    quantity {int} NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, product_id)
) {clustered};
