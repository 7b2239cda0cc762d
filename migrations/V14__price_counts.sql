-- How many products of a category have each price, so that a range of prices is counted by its prices.
-- Only where one program writes: others would wait for each other at the common ones.
{price_counts}
