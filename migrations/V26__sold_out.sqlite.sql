-- The counts by price now include those sold out; those of the whole catalog, whose category is empty; and counts of
-- prices rounded down to two digits, so that the total of any price range is the sum of few rows.
DROP TRIGGER price_counts_added;
DROP TRIGGER price_counts_removed;
DROP TRIGGER price_counts_changed;
DROP TABLE price_counts;
CREATE TABLE price_counts (
    category_id BLOB NOT NULL,
    is_rounded INTEGER NOT NULL,
    price INTEGER NOT NULL,
    products INTEGER NOT NULL,
    sold_out INTEGER NOT NULL,
    PRIMARY KEY (category_id, is_rounded, price)
) STRICT, WITHOUT ROWID;

-- An insert into this view adds to all counts of a price.
CREATE VIEW price_count_changes AS SELECT category_id, price, products, sold_out FROM price_counts;
CREATE TRIGGER price_count_changes_added INSTEAD OF INSERT ON price_count_changes BEGIN
    INSERT INTO price_counts (category_id, is_rounded, price, products, sold_out)
    SELECT c.id, p.is_rounded, p.price, new.products, new.sold_out
    FROM (SELECT x'' AS id UNION ALL SELECT new.category_id) c, (
        SELECT 0 AS is_rounded, new.price AS price UNION ALL
        SELECT 1, CAST(substr(new.price, 1, 2) || substr('0000000000', 1, length(new.price) - 2) AS INTEGER)
    ) p
    WHERE c.id IS NOT NULL
    ON CONFLICT (category_id, is_rounded, price) DO UPDATE
    SET products = products + excluded.products, sold_out = sold_out + excluded.sold_out;
    DELETE FROM price_counts
    WHERE category_id IN (x'', new.category_id) AND is_rounded IN (0, 1) AND price IN (
        new.price, CAST(substr(new.price, 1, 2) || substr('0000000000', 1, length(new.price) - 2) AS INTEGER)
    ) AND products = 0;
END;
INSERT INTO price_count_changes (category_id, price, products, sold_out)
SELECT category_id, price, count(*), sum(sold_out) FROM products WHERE deleted_at IS NULL
GROUP BY category_id, price;

-- Triggers maintain `sold_out` and the counts, whoever writes the products.
CREATE TRIGGER products_added AFTER INSERT ON products BEGIN
    UPDATE products SET sold_out = (new.stock = 0) WHERE id = new.id AND sold_out <> (new.stock = 0);
    INSERT INTO price_count_changes (category_id, price, products, sold_out)
    SELECT new.category_id, new.price, 1, new.stock = 0 WHERE new.deleted_at IS NULL;
END;
CREATE TRIGGER products_removed AFTER DELETE ON products WHEN old.deleted_at IS NULL BEGIN
    INSERT INTO price_count_changes (category_id, price, products, sold_out)
    VALUES (old.category_id, old.price, -1, -(old.stock = 0));
END;
CREATE TRIGGER products_changed AFTER UPDATE OF stock, price, category_id, deleted_at ON products
WHEN (old.stock = 0, old.price, old.category_id, old.deleted_at)
    IS NOT (new.stock = 0, new.price, new.category_id, new.deleted_at) BEGIN
    UPDATE products SET sold_out = (new.stock = 0) WHERE id = new.id AND sold_out <> (new.stock = 0);
    INSERT INTO price_count_changes (category_id, price, products, sold_out)
    SELECT old.category_id, old.price, -1, -(old.stock = 0) WHERE old.deleted_at IS NULL;
    INSERT INTO price_count_changes (category_id, price, products, sold_out)
    SELECT new.category_id, new.price, 1, new.stock = 0 WHERE new.deleted_at IS NULL;
END;

-- A product's number in `postings` is now its `rowid` in `products`, which all of its indexes have. The next start
-- writes the index again.
{words_anew}
