-- The words are lexemes as they are: no parser splits them anew.
CREATE INDEX product_search_by_name_words ON product_search
    USING gin (array_to_tsvector(string_to_array(name_words, ' ')));
CREATE INDEX product_search_by_words ON product_search
    USING gin (array_to_tsvector(string_to_array(words, ' ')));
