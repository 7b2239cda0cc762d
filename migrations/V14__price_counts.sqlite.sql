CREATE TABLE price_counts (
    category_id BLOB NOT NULL,
    price INTEGER NOT NULL,
    products INTEGER NOT NULL,
    PRIMARY KEY (category_id, price)
) STRICT, WITHOUT ROWID;
INSERT INTO price_counts (category_id, price, products)
SELECT category_id, price, count(*) FROM products
WHERE category_id IS NOT NULL AND deleted_at IS NULL GROUP BY category_id, price;

-- Triggers keep it, whoever writes the products.
CREATE TRIGGER price_counts_added AFTER INSERT ON products
WHEN new.category_id IS NOT NULL AND new.deleted_at IS NULL BEGIN
    INSERT INTO price_counts (category_id, price, products) VALUES (new.category_id, new.price, 1)
    ON CONFLICT (category_id, price) DO UPDATE SET products = products + 1;
END;
CREATE TRIGGER price_counts_removed AFTER DELETE ON products
WHEN old.category_id IS NOT NULL AND old.deleted_at IS NULL BEGIN
    UPDATE price_counts SET products = products - 1
    WHERE category_id = old.category_id AND price = old.price;
    DELETE FROM price_counts
    WHERE category_id = old.category_id AND price = old.price AND products = 0;
END;
CREATE TRIGGER price_counts_changed AFTER UPDATE OF price, category_id, deleted_at ON products
WHEN (old.price, old.category_id, old.deleted_at) IS NOT (new.price, new.category_id, new.deleted_at) BEGIN
    UPDATE price_counts SET products = products - 1
    WHERE category_id = old.category_id AND price = old.price AND old.deleted_at IS NULL;
    DELETE FROM price_counts
    WHERE category_id = old.category_id AND price = old.price AND products = 0;
    INSERT INTO price_counts (category_id, price, products)
    SELECT new.category_id, new.price, 1 WHERE new.category_id IS NOT NULL AND new.deleted_at IS NULL
    ON CONFLICT (category_id, price) DO UPDATE SET products = products + 1;
END;
