-- Events of committed transactions that have no number yet: only where several write at once. They
-- are moved to `events` in the order of `id`, by whoever holds the publishers' lock.
CREATE TABLE fresh_events (
    id {serial} NOT NULL PRIMARY KEY,
    at {int} NOT NULL,
    changes TEXT NOT NULL
) {strict};

-- When each timer last ran, so that several instances run it once.
CREATE TABLE timers (
    name TEXT NOT NULL PRIMARY KEY,
    ran_at {int} NOT NULL
) {strict};
