-- Why a refund failed. Its job had the reason, and is deleted once the refund is resolved.
ALTER TABLE refunds ADD COLUMN failure_reason TEXT;

UPDATE refunds SET failure_reason = (
    SELECT j.last_error FROM jobs j
    WHERE j.subject_id = refunds.id AND j.kind = 'send-refund' AND j.state = 'dead')
WHERE status = 'FAILED' AND resolved_at IS NULL;
