-- One cart for each customer; prices are looked up when it is shown.
CREATE TABLE cart_items (
    user_id {id} NOT NULL REFERENCES users (id),
    product_id {id} NOT NULL REFERENCES products (id),
    quantity {int} NOT NULL CHECK (quantity > 0),
    added_at {int} NOT NULL,
    PRIMARY KEY (user_id, product_id)
) {clustered};
