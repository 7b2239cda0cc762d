-- A cart belongs to an account or to a guest, who has its token. SQLite cannot drop a NOT NULL, so the tables are copied.
CREATE TABLE copied_carts (
    id {id} NOT NULL PRIMARY KEY,
    user_id {id} UNIQUE REFERENCES users (id),
    -- The SHA-256 hash of the guest's token.
    token_hash {bytes} UNIQUE,
    created_at {int} NOT NULL,
    -- The last change of a guest's cart.
    updated_at {int},
    -- The cart into which this one was merged.
    merged_into {id},
    CHECK ((user_id IS NULL) <> (token_hash IS NULL)),
    CHECK ((token_hash IS NULL) = (updated_at IS NULL))
) {clustered};
INSERT INTO copied_carts (id, user_id, created_at) SELECT id, user_id, created_at FROM carts ORDER BY id;

CREATE TABLE copied_cart_lines (
    cart_id {id} NOT NULL REFERENCES copied_carts (id),
    variant_id {id} NOT NULL REFERENCES variants (id),
    quantity {int} NOT NULL CHECK (quantity > 0),
    added_at {int} NOT NULL,
    PRIMARY KEY (cart_id, variant_id)
) {clustered};
INSERT INTO copied_cart_lines (cart_id, variant_id, quantity, added_at)
SELECT cart_id, variant_id, quantity, added_at FROM cart_lines ORDER BY cart_id, variant_id;

DROP TABLE cart_lines;
DROP TABLE carts;
ALTER TABLE copied_carts RENAME TO carts;
ALTER TABLE copied_cart_lines RENAME TO cart_lines;
CREATE INDEX carts_of_guests ON carts (updated_at) WHERE token_hash IS NOT NULL;
