-- Products with options have several variants.

-- Its options and their values as JSON, in their order:
-- [{"id":"…","name":"Size","values":[{"id":"…","value":"M"}]}]
ALTER TABLE products ADD COLUMN options TEXT NOT NULL DEFAULT '[]';
-- Kept values of a product with options: `price` is the lowest price of its variants, `price_max` the highest (NULL without
-- options), `stock` the sum of their stocks.
ALTER TABLE products ADD COLUMN price_max {int};
ALTER TABLE products ADD COLUMN variant_count {int} NOT NULL DEFAULT 1;

-- NULL for the variant with the product's id.
ALTER TABLE stock_movements ADD COLUMN variant_id {id} REFERENCES variants (id);
