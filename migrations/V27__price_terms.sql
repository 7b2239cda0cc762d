-- Prices are indexed by their first digits instead of their bits, and blocks are twice as large. The next start writes
-- the index again.
DELETE FROM postings;
{words_anew}
