-- Every word of the catalog: who asks for the beginning of one asks for those that begin so.
CREATE TABLE search_words (
    word TEXT NOT NULL PRIMARY KEY
) {clustered};

-- A copy of the product's, so that what is found is put in order without a look at the products.
ALTER TABLE product_search ADD COLUMN name_key TEXT NOT NULL DEFAULT '';

-- The program draws the keys of `product_search` from now on, in about the order of names: what is found
-- in the order of keys is found in that order. The next start gives rows from before theirs.
{own_keys}
