-- The version of the folding by which the words and the name of a product were written: a program of
-- before leaves 0. The next start writes again what an earlier folding wrote.
ALTER TABLE product_search ADD COLUMN folding {int} NOT NULL DEFAULT 0;
CREATE INDEX product_search_unversioned ON product_search (product_id) WHERE folding = 0;
