-- One payment for each order.
CREATE TABLE payments (
    order_id {id} NOT NULL PRIMARY KEY REFERENCES orders (id),
    id {id} NOT NULL,
    provider TEXT NOT NULL,
    provider_order_id TEXT UNIQUE,
    status TEXT NOT NULL,
    amount {int} NOT NULL,
    transaction_id TEXT,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
) {clustered};
-- One capture for each payment of the provider.
CREATE UNIQUE INDEX payments_by_transaction ON payments (transaction_id)
    WHERE transaction_id IS NOT NULL;

-- Every rightly signed delivery, as it came. `event_key` makes a repeat known.
CREATE TABLE payment_events (
    id {id} NOT NULL PRIMARY KEY,
    event_key {bytes} NOT NULL UNIQUE,
    event_id TEXT,
    event TEXT,
    order_id {id} REFERENCES payments (order_id),
    provider_payment_id TEXT,
    amount {int},
    outcome TEXT NOT NULL,
    body {bytes} NOT NULL,
    received_at {int} NOT NULL
) {strict};
CREATE INDEX payment_events_by_outcome ON payment_events (outcome, received_at, id);
