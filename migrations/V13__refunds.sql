-- When the next try is due to make an order at a provider that needs the network; none: nothing to do.
ALTER TABLE payments ADD COLUMN due_at {int};
ALTER TABLE payments ADD COLUMN tries {int} NOT NULL DEFAULT 0;
CREATE INDEX payments_by_due ON payments (due_at) WHERE due_at IS NOT NULL;

-- Money on its way back: the sum of those that did not fail is what a payment has given back. `cause`
-- tells who asked for it: an admin, the shop itself where the money came too late for its order, or
-- somebody at the provider. `restock`: the stock goes back with the refund that completes the payment.
CREATE TABLE refunds (
    id {id} NOT NULL PRIMARY KEY,
    order_id {id} NOT NULL REFERENCES payments (order_id),
    amount {int} NOT NULL CHECK (amount > 0),
    status TEXT NOT NULL CHECK (status IN ('PENDING', 'PROCESSED', 'FAILED')),
    cause TEXT NOT NULL CHECK (cause IN ('admin', 'late', 'provider')),
    restock {int} NOT NULL,
    provider_refund_id TEXT UNIQUE,
    due_at {int},
    tries {int} NOT NULL,
    error TEXT,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL
) {strict};
CREATE INDEX refunds_by_order ON refunds (order_id, id);
CREATE INDEX refunds_by_due ON refunds (due_at, id) WHERE due_at IS NOT NULL;

-- `signature`: `valid`, or `none` for what the shop itself asked the provider. Money for an order that
-- the shop does not know yet is found again by `provider_order_id`.
ALTER TABLE payment_events ADD COLUMN signature TEXT NOT NULL DEFAULT 'valid';
ALTER TABLE payment_events ADD COLUMN provider_order_id TEXT;
CREATE INDEX payment_events_by_payment ON payment_events (provider_payment_id);
CREATE INDEX payment_events_by_order ON payment_events (provider_order_id) WHERE order_id IS NULL;
-- One capture for each payment of the provider, here as well.
CREATE UNIQUE INDEX payment_events_by_capture ON payment_events (provider_payment_id)
    WHERE outcome = 'captured';

-- What may expire: ids begin with the moment of the order.
CREATE INDEX orders_by_pending ON orders (id) WHERE status = 'PENDING';

-- The books of the mock provider, as a real one keeps them on its side.
CREATE TABLE mock_payments (
    id TEXT NOT NULL PRIMARY KEY,
    provider_order_id TEXT NOT NULL,
    amount {int} NOT NULL,
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('captured', 'failed')),
    created_at {int} NOT NULL
) {strict};
CREATE INDEX mock_payments_by_order ON mock_payments (provider_order_id);
