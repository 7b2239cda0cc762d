-- What listeners hear, in the order of commits.
CREATE TABLE events (
    seq {int} NOT NULL PRIMARY KEY,
    at {int} NOT NULL,
    changes TEXT NOT NULL
) {strict};

-- Successful answers under an `Idempotency-Key`, written in the transaction that made them.
CREATE TABLE idempotency_keys (
    user_id {id} NOT NULL REFERENCES users (id),
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash {bytes} NOT NULL,
    status {int} NOT NULL,
    headers TEXT NOT NULL,
    body {bytes} NOT NULL,
    created_at {int} NOT NULL,
    PRIMARY KEY (user_id, route, key)
) {strict};
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- What is set once and for ever: the currency.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) {strict};
