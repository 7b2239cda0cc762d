-- Where one program writes alone, it numbers the products that are searched, and keeps for each word which
-- of them have it: bitmaps, for so many numbers each. What else lists are narrowed by is marked by words that
-- nobody writes. Where several write, all of it is empty.
ALTER TABLE product_search ADD COLUMN number {int};
ALTER TABLE product_search ADD COLUMN marks TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX product_search_by_number ON product_search (number) WHERE number IS NOT NULL;
CREATE TABLE postings (
    block {int} NOT NULL,
    word TEXT NOT NULL,
    products {bytes} NOT NULL,
    PRIMARY KEY (block, word)
) {strict};
{words_anew}
