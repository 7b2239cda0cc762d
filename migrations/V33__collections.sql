-- Collections of products, which an admin puts together and orders.
CREATE TABLE collections (
    id {id} NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created_at {int} NOT NULL
) {clustered};

-- A deleted product keeps its place, and is not shown.
CREATE TABLE collection_products (
    collection_id {id} NOT NULL REFERENCES collections (id),
    position {int} NOT NULL,
    product_id {id} NOT NULL REFERENCES products (id),
    PRIMARY KEY (collection_id, position)
) {clustered};
CREATE UNIQUE INDEX collection_products_once ON collection_products (collection_id, product_id);
CREATE INDEX collection_products_by_product ON collection_products (product_id);
