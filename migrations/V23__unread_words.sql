-- Postgres never reads `search_words`, so the program no longer writes it there. The table stays: an instance of the
-- previous release still writes it during an update.
{unread_words}
