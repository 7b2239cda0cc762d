DROP TRIGGER product_search_added;
DROP TRIGGER product_search_removed;
DROP TRIGGER product_search_changed;
DROP TABLE product_fts;
DELETE FROM product_search;
