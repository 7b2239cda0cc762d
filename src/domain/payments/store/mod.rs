//! SQL of payments, refunds, events and the ledger.

mod events;
mod jobs;
mod ledger;
mod payments;
mod queue;
mod refunds;
mod verify;

pub(super) use self::{
    events::{
        EventRow, event_is_known, events_of_unknown_order, events_of_unknown_payment, insert_event,
        is_duplicate, is_listed, refunds_at_provider, resolve_captures, resolve_duplicate,
        resolve_event, set_duplicate_refunded, set_duplicate_unmatched, set_outcome,
        unmatched_capture,
    },
    jobs::{dead_refund_jobs, order_jobs, refund_jobs, retry_order_now, retry_refund_now},
    ledger::{is_payment, known_payments, list, lock_event, totals, unmatched},
    payments::{
        capture, insert, lock_by_provider_order, lock_payment, of_orders, order_of_transaction,
        set_provider_order, set_status, transaction_is_known,
    },
    queue::{
        due_orders, due_refunds, has_due, lease_order, lease_refund, reschedule_order,
        reschedule_refund,
    },
    refunds::{
        fail_refund, failed_refund, failed_refunds, insert_refund, process_refund, refund_by_id,
        refund_without_provider_id, refunds_of_duplicate, resolve_refund, set_provider_refund,
    },
    verify::{
        CaptureMismatch, captures_mismatched, over_refunded, refund_status_mismatched,
        unrefunded_duplicates,
    },
};
