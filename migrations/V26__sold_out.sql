-- Lists are filtered by stock without reading each product. The database itself sets `sold_out`, only when the last
-- unit is sold or the first one returns: no other sale changes an index. The indexes have the columns that lists
-- filter by, so that finding a page reads no products.
ALTER TABLE products ADD COLUMN sold_out {int} NOT NULL DEFAULT 0;
UPDATE products SET sold_out = 1 WHERE stock = 0;

DROP INDEX products_by_time;
DROP INDEX products_by_price;
DROP INDEX products_by_name;
DROP INDEX products_by_category_time;
DROP INDEX products_by_category_price;
DROP INDEX products_by_category_name;
CREATE INDEX products_by_time ON products (created_at, id, deleted_at, price, sold_out)
    WHERE deleted_at IS NULL;
CREATE INDEX products_by_price ON products (price, id, deleted_at, sold_out) WHERE deleted_at IS NULL;
CREATE INDEX products_by_name ON products (name_key, id, deleted_at, price, sold_out)
    WHERE deleted_at IS NULL;
CREATE INDEX products_by_category_time ON products (category_id, created_at, id, deleted_at, price, sold_out)
    WHERE deleted_at IS NULL;
CREATE INDEX products_by_category_price ON products (category_id, price, id, deleted_at, sold_out)
    WHERE deleted_at IS NULL;
CREATE INDEX products_by_category_name ON products (category_id, name_key, id, deleted_at, price, sold_out)
    WHERE deleted_at IS NULL;

-- Most products are available, so only those that are sold out have indexes of their own.
CREATE INDEX products_sold_out_by_time ON products (sold_out, created_at, id, deleted_at, price)
    WHERE sold_out = 1 AND deleted_at IS NULL;
CREATE INDEX products_sold_out_by_price ON products (sold_out, price, id, deleted_at)
    WHERE sold_out = 1 AND deleted_at IS NULL;
CREATE INDEX products_sold_out_by_name ON products (sold_out, name_key, id, deleted_at, price)
    WHERE sold_out = 1 AND deleted_at IS NULL;
CREATE INDEX products_sold_out_by_category_time
    ON products (sold_out, category_id, created_at, id, deleted_at, price)
    WHERE sold_out = 1 AND deleted_at IS NULL;
CREATE INDEX products_sold_out_by_category_price ON products (sold_out, category_id, price, id, deleted_at)
    WHERE sold_out = 1 AND deleted_at IS NULL;
CREATE INDEX products_sold_out_by_category_name
    ON products (sold_out, category_id, name_key, id, deleted_at, price)
    WHERE sold_out = 1 AND deleted_at IS NULL;

-- A word is read in many blocks at once. The next start writes the rows again.
DROP TABLE postings;
CREATE TABLE postings (
    word TEXT NOT NULL,
    block {int} NOT NULL,
    products {bytes} NOT NULL,
    PRIMARY KEY (word, block)
) {strict};
{sold_out}
