-- One queue of background jobs instead of one per domain. A job is identified by its kind and its subject, the
-- row that it is about. `payload` is what else decides who can run it: the payment provider, or empty.
-- `retrying_since` is when the job was queued, or when an operator last retried it.
CREATE TABLE jobs (
    subject_id {id} NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'dead')),
    due_at {int} NOT NULL,
    attempts {int} NOT NULL,
    last_error TEXT,
    retrying_since {int} NOT NULL,
    PRIMARY KEY (subject_id, kind)
) {clustered};
CREATE INDEX jobs_by_due ON jobs (kind, payload, due_at, subject_id)
    WHERE state = 'waiting';

-- This migration expands and contracts in one step, because no release has the old queues.

-- Emails to send. `outbox` keeps the emails; `tries` is the number of attempts that it took to send one.
INSERT INTO jobs (subject_id, kind, payload, state, due_at, attempts, last_error, retrying_since)
    SELECT id, 'send-mail', '', state, due_at, tries, error, since FROM outbox
    WHERE state <> 'sent';
DROP INDEX outbox_by_due;
DROP INDEX outbox_by_sending;
ALTER TABLE outbox DROP COLUMN state;
ALTER TABLE outbox DROP COLUMN since;
ALTER TABLE outbox DROP COLUMN due_at;
ALTER TABLE outbox DROP COLUMN error;
CREATE INDEX outbox_by_sending ON outbox (sent_at) WHERE sent_at IS NOT NULL;

-- Images to delete from the image store.
INSERT INTO jobs (subject_id, kind, payload, state, due_at, attempts, last_error, retrying_since)
    SELECT image_id, 'delete-image', '', 'waiting', due_at, tries, error, due_at
    FROM image_removals;
DROP TABLE image_removals;

-- Orders to create at the payment provider. Only its own worker runs them.
INSERT INTO jobs (subject_id, kind, payload, state, due_at, attempts, last_error, retrying_since)
    SELECT order_id, 'make-payment-order', provider, 'waiting', due_at, tries, error, created_at
    FROM payments WHERE due_at IS NOT NULL;
DROP INDEX payments_by_due;
ALTER TABLE payments DROP COLUMN due_at;
ALTER TABLE payments DROP COLUMN tries;
ALTER TABLE payments DROP COLUMN error;

-- Refunds to send to the payment provider; those that failed and are not resolved are dead.
INSERT INTO jobs (subject_id, kind, payload, state, due_at, attempts, last_error, retrying_since)
    SELECT r.id, 'send-refund', p.provider, CASE WHEN r.due_at IS NULL THEN 'dead' ELSE 'waiting' END,
        coalesce(r.due_at, r.updated_at), r.tries, r.error, r.created_at
    FROM refunds r JOIN payments p ON p.order_id = r.order_id
    WHERE r.due_at IS NOT NULL OR (r.status = 'FAILED' AND r.resolved_at IS NULL);
DROP INDEX refunds_by_due;
DROP INDEX refunds_by_failure;
ALTER TABLE refunds DROP COLUMN due_at;
ALTER TABLE refunds DROP COLUMN tries;
ALTER TABLE refunds DROP COLUMN error;
