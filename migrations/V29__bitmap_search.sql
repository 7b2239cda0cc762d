-- SQLite searches with bitmaps alone. Words of names and of descriptions have bitmaps of their own, so the next start
-- writes the index again.
DROP TABLE search_words;
DELETE FROM postings;
{without_full_text}

-- Searches find SKUs. On Postgres, the next start writes the products that have some again.
UPDATE product_search SET folding = 0 WHERE product_id IN (SELECT product_id FROM variants WHERE sku IS NOT NULL);
