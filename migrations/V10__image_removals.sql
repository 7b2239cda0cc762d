-- Pictures that the store is to lose. A row is written before a picture is put, due long after, and
-- goes away in the transaction that gives the picture to its product: what fails or dies in between
-- leaves it. `error` is why the last try failed.
CREATE TABLE image_removals (
    image_id {id} NOT NULL PRIMARY KEY,
    due_at {int} NOT NULL,
    tries {int} NOT NULL,
    error TEXT
) {clustered};
CREATE INDEX image_removals_by_due ON image_removals (due_at, image_id);

-- Where a picture is to be had that the shop does not serve by itself.
ALTER TABLE product_images ADD COLUMN url TEXT;
