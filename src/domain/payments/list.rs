//! Lists and sums the ledger.

use super::{KnownPayment, LedgerEntry, ListedStatus, Totals, store};
use crate::{
    core::{
        error::Result,
        id::OrderId,
        pagination::{Page, PageRequest},
    },
    infra::db::Tx,
};

/// Returns the payments with a status, or the unmatched or resolved events, newest first.
pub fn list(
    tx: &mut Tx<'_>,
    status: Option<ListedStatus>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    match status {
        Some(ListedStatus::Unmatched) => store::unmatched(tx, false, page),
        Some(ListedStatus::Resolved) => store::unmatched(tx, true, page),
        Some(ListedStatus::Payment(status)) => store::list(tx, Some(status), page),
        None => store::list(tx, None, page),
    }
}

/// Returns up to `limit` payments to reconcile with the provider's record, by order id after `after`: those of
/// orders from `since` on, and those with a pending refund.
pub fn known_payments(
    tx: &mut Tx<'_>,
    provider: &str,
    since: OrderId,
    after: OrderId,
    limit: i64,
) -> Result<Vec<KnownPayment>> {
    store::known_payments(tx, provider, since, after, limit)
}

/// Returns the captured, refunded and unmatched totals.
pub fn totals(tx: &mut Tx<'_>) -> Result<Totals> {
    store::totals(tx)
}
