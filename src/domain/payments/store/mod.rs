//! SQL of payments, refunds, events and the ledger.

mod events;
mod ledger;
mod payments;
mod refunds;
mod verify;

pub(super) use self::{
    events::{
        EventRow, event_is_known, events_of_unknown_order, events_of_unknown_payment, insert_event,
        is_duplicate, is_listed, refunds_at_provider, resolve_captures, resolve_duplicate,
        resolve_event, set_duplicate_refunded, set_duplicate_unmatched, set_outcome,
        unmatched_capture,
    },
    ledger::{is_payment, known_payments, list, lock_event, totals, unmatched, unmatched_count},
    payments::{
        capture, insert, lock_by_provider_order, lock_payment, of_orders, order_of_transaction,
        set_provider_order_id, set_status, transaction_is_known,
    },
    refunds::{
        failed_refund, failed_refunds, insert_refund, order_of_refund, queued_refund, refund_by_id,
        refunds_of_duplicate, refunds_without_provider_id, resolve_refund, set_provider_refund_id,
        set_refund_failed, set_refund_processed,
    },
    verify::{
        CaptureMismatch, captures_mismatched, jobs_without_payment, jobs_without_refund,
        over_refunded, refund_status_mismatched, refunds_without_job, unrefunded_duplicates,
    },
};
