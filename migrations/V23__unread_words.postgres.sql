DELETE FROM search_words;
