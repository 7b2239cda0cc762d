-- The next start writes the words of all products again, and these with them.
DROP TRIGGER product_search_removed;
DELETE FROM product_search;
INSERT INTO product_fts (product_fts) VALUES ('delete-all');
CREATE TRIGGER product_search_removed AFTER DELETE ON product_search BEGIN
    INSERT INTO product_fts (product_fts, rowid, name_words, words)
    VALUES ('delete', old.key, old.name_words, old.words);
END;
-- Marks change more often than words.
DROP TRIGGER product_search_changed;
CREATE TRIGGER product_search_changed AFTER UPDATE ON product_search
WHEN (old.key, old.name_words, old.words) IS NOT (new.key, new.name_words, new.words) BEGIN
    INSERT INTO product_fts (product_fts, rowid, name_words, words)
    VALUES ('delete', old.key, old.name_words, old.words);
    INSERT INTO product_fts (rowid, name_words, words) VALUES (new.key, new.name_words, new.words);
END;
