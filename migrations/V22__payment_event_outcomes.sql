-- What a provider reported and what became of it, in columns instead of texts with a grammar. No release has
-- written the old texts, so the table is replaced in one step.
ALTER TABLE payment_events RENAME TO old_payment_events;

-- `event` is the provider's own name of the event, `kind` what it means, whichever provider sent it. `mismatch` is
-- why an event matched no payment; it stays when a later event settles it. `signature` is `none` for what the
-- shop itself asked the provider.
CREATE TABLE payment_events (
    id {id} NOT NULL PRIMARY KEY,
    event_key {bytes} NOT NULL UNIQUE,
    provider TEXT NOT NULL,
    event_id TEXT,
    event TEXT,
    kind TEXT NOT NULL CHECK (kind IN (
        'payment_captured', 'payment_failed', 'refund_processed', 'refund_failed', 'other',
        'unreadable')),
    order_id {id} REFERENCES payments (order_id),
    provider_order_id TEXT,
    provider_payment_id TEXT,
    provider_refund_id TEXT,
    amount {int},
    outcome TEXT NOT NULL CHECK (outcome IN (
        'captured', 'duplicate', 'failed', 'refunded', 'refund_failed', 'refunded_at_provider',
        'repeated', 'ignored', 'unreadable', 'unmatched')),
    mismatch TEXT CHECK (mismatch IN (
        'unknown_order', 'unknown_payment', 'amount', 'currency', 'other_order',
        'exceeds_captured', 'already_paid')),
    signature TEXT NOT NULL CHECK (signature IN ('valid', 'none')),
    body {bytes} NOT NULL,
    received_at {int} NOT NULL,
    resolved_at {int},
    resolved_by {id} REFERENCES users (id),
    note TEXT,
    CHECK (outcome <> 'unmatched' OR mismatch IS NOT NULL)
) {strict};

-- The provider of an event that names no known order or payment is the one that the shop uses; until now that is
-- the mock or Razorpay.
--
-- An event that was resolved by an admin and settled by a later event had lost its mismatch. A duplicate payment
-- can only have been `already_paid`; others were processed again because their order or payment became known.
INSERT INTO payment_events (
    id, event_key, provider, event_id, event, kind, order_id, provider_order_id,
    provider_payment_id, provider_refund_id, amount, outcome, mismatch, signature, body,
    received_at, resolved_at, resolved_by, note)
SELECT e.id, e.event_key,
    coalesce(
        (SELECT 'mock' FROM mock_payments m WHERE m.id = e.provider_payment_id),
        (SELECT p.provider FROM payments p WHERE p.provider_order_id = e.provider_order_id),
        (SELECT p.provider FROM payments p WHERE p.order_id = e.order_id),
        CASE WHEN EXISTS (SELECT 1 FROM payments p WHERE p.provider <> 'mock') THEN 'razorpay'
            ELSE 'mock' END),
    e.event_id, e.event,
    CASE WHEN e.event IN ('payment.captured', 'order.paid') THEN 'payment_captured'
        WHEN e.event = 'payment.failed' THEN 'payment_failed'
        WHEN e.event = 'refund.processed' THEN 'refund_processed'
        WHEN e.event = 'refund.failed' THEN 'refund_failed'
        WHEN e.event IS NULL THEN 'unreadable'
        ELSE 'other' END,
    e.order_id, e.provider_order_id, e.provider_payment_id, e.provider_refund_id, e.amount,
    CASE WHEN e.outcome LIKE 'unmatched: %' THEN 'unmatched'
        WHEN e.outcome = 'refund failed' THEN 'refund_failed'
        WHEN e.outcome = 'refunded at the provider' THEN 'refunded_at_provider'
        ELSE e.outcome END,
    CASE WHEN e.outcome = 'unmatched: no such order' THEN 'unknown_order'
        WHEN e.outcome = 'unmatched: no such payment' THEN 'unknown_payment'
        WHEN e.outcome = 'unmatched: another amount' THEN 'amount'
        WHEN e.outcome = 'unmatched: another currency' THEN 'currency'
        WHEN e.outcome = 'unmatched: the payment belongs to another order' THEN 'other_order'
        WHEN e.outcome = 'unmatched: more went back than was captured' THEN 'exceeds_captured'
        WHEN e.outcome = 'unmatched: the order is paid already' THEN 'already_paid'
        WHEN e.outcome = 'unreadable' OR e.resolved_at IS NULL THEN NULL
        WHEN e.outcome = 'duplicate' THEN 'already_paid'
        WHEN e.event IN ('refund.processed', 'refund.failed') THEN 'unknown_payment'
        ELSE 'unknown_order' END,
    e.signature, e.body, e.received_at, e.resolved_at, e.resolved_by, e.note
FROM old_payment_events e;

DROP TABLE old_payment_events;

CREATE INDEX payment_events_by_outcome ON payment_events (outcome, received_at, id);
CREATE INDEX payment_events_by_payment ON payment_events (provider_payment_id);
CREATE INDEX payment_events_by_order ON payment_events (provider_order_id)
    WHERE order_id IS NULL;
-- Each payment of the provider is captured once, and is a duplicate once.
CREATE UNIQUE INDEX payment_events_by_capture ON payment_events (provider_payment_id)
    WHERE outcome = 'captured';
CREATE UNIQUE INDEX payment_events_by_duplicate ON payment_events (provider_payment_id)
    WHERE outcome = 'duplicate';
