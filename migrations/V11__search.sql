-- The words of each product of the catalog, folded and split by the program: those of its name, and
-- those with its description's. What finds them is made of this table by each engine in its own way.
CREATE TABLE product_search (
    key {serial} NOT NULL PRIMARY KEY,
    product_id {id} NOT NULL UNIQUE REFERENCES products (id),
    name_words TEXT NOT NULL,
    words TEXT NOT NULL
) {strict};

-- The trigrams of every word that has stood in a name, to find one that is spelt alike.
CREATE TABLE search_trigrams (
    trigram TEXT NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (trigram, word)
) {clustered};

{full_text}
