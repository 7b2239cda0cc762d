-- SQLite searches with bitmaps alone. Words of names and of descriptions have bitmaps of their own, so the next start
-- writes the index again.
DROP TABLE search_words;
DELETE FROM postings;
{without_full_text}
