-- One payment for each order.
CREATE TABLE payments (
    id {id} NOT NULL PRIMARY KEY,
    order_id {id} NOT NULL UNIQUE REFERENCES orders (id),
    provider TEXT NOT NULL,
    provider_order_id TEXT UNIQUE,
    status TEXT NOT NULL,
    amount {int} NOT NULL,
    transaction_id TEXT UNIQUE,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
) {strict};

-- Every rightly signed delivery, as it came. `event_key` makes a repeat known.
CREATE TABLE payment_events (
    id {id} NOT NULL PRIMARY KEY,
    event_key {bytes} NOT NULL UNIQUE,
    event_id TEXT,
    event TEXT,
    payment_id {id} REFERENCES payments (id),
    provider_payment_id TEXT,
    amount {int},
    outcome TEXT NOT NULL,
    body {bytes} NOT NULL,
    received_at {int} NOT NULL
) {strict};
CREATE INDEX payment_events_by_outcome ON payment_events (outcome, received_at, id);
