-- Here no program of before runs beside this one: the next start writes the whole table anew. Emptied row
-- by row, the index would go on looking at what it has lost.
DROP TRIGGER product_search_removed;
DELETE FROM product_search;
INSERT INTO product_fts (product_fts) VALUES ('delete-all');
CREATE TRIGGER product_search_removed AFTER DELETE ON product_search BEGIN
    INSERT INTO product_fts (product_fts, rowid, name_words, words)
    VALUES ('delete', old.key, old.name_words, old.words);
END;
