-- Money that was paid twice for one order: its refunds name the provider's payment. Those of the order's
-- own payment name none.
ALTER TABLE refunds ADD COLUMN transaction_id TEXT;
CREATE INDEX refunds_by_transaction ON refunds (transaction_id) WHERE transaction_id IS NOT NULL;
CREATE UNIQUE INDEX payment_events_by_duplicate ON payment_events (provider_payment_id)
    WHERE outcome = 'duplicate';

-- What needed a person and is settled: when, why, and by which account. No account: from the command line,
-- or by what the provider reported later.
ALTER TABLE refunds ADD COLUMN resolved_at {int};
ALTER TABLE refunds ADD COLUMN resolved_by {id} REFERENCES users (id);
ALTER TABLE refunds ADD COLUMN note TEXT;
ALTER TABLE payment_events ADD COLUMN resolved_at {int};
ALTER TABLE payment_events ADD COLUMN resolved_by {id} REFERENCES users (id);
ALTER TABLE payment_events ADD COLUMN note TEXT;
CREATE INDEX refunds_by_failure ON refunds (updated_at, id)
    WHERE status = 'FAILED' AND resolved_at IS NULL;

-- Two refunds of one payment may be of the same sum.
ALTER TABLE payment_events ADD COLUMN provider_refund_id TEXT;

-- Why the provider made no order at the last attempt.
ALTER TABLE payments ADD COLUMN error TEXT;

-- Refunds that failed and were made good.
UPDATE refunds SET resolved_at = updated_at, note = 'all of the payment has gone back'
WHERE status = 'FAILED' AND EXISTS (
    SELECT 1 FROM payments p WHERE p.order_id = refunds.order_id AND p.status = 'REFUNDED');
