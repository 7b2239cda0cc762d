-- Words are separated by spaces and hold no other ASCII but letters and digits: `ascii` splits them just
-- so. Triggers keep the index, whoever writes the table.
CREATE VIRTUAL TABLE product_fts USING fts5 (
    name_words, words, content = 'product_search', content_rowid = 'key', tokenize = 'ascii', detail = 'column'
);
CREATE TRIGGER product_search_added AFTER INSERT ON product_search BEGIN
    INSERT INTO product_fts (rowid, name_words, words) VALUES (new.key, new.name_words, new.words);
END;
CREATE TRIGGER product_search_removed AFTER DELETE ON product_search BEGIN
    INSERT INTO product_fts (product_fts, rowid, name_words, words)
    VALUES ('delete', old.key, old.name_words, old.words);
END;
CREATE TRIGGER product_search_changed AFTER UPDATE ON product_search BEGIN
    INSERT INTO product_fts (product_fts, rowid, name_words, words)
    VALUES ('delete', old.key, old.name_words, old.words);
    INSERT INTO product_fts (rowid, name_words, words) VALUES (new.key, new.name_words, new.words);
END;
