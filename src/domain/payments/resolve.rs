//! Resolves unmatched events: takes them off the list, with a note.

use uuid::Uuid;

use super::{
    LedgerEntry, Mismatch, Note, Outcome, find, issue_refund, problems::NOT_UNMATCHED, store,
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
        id::UserId,
    },
    infra::db::Tx,
};

/// Resolves an unmatched event and, if it is about a duplicate payment, the failed refunds of that payment. An event
/// that is already resolved keeps its first note. `by` is `None` on the command line.
///
/// Errors: `not-found`; `not-unmatched` if the id is that of a payment or of an event that was applied.
pub fn resolve(tx: &mut Tx<'_>, id: Uuid, by: Option<UserId>, note: &Note) -> Result<LedgerEntry> {
    let Some((entry, outcome)) = store::lock_event(tx, id)? else {
        return Err(if store::is_payment(tx, id)? {
            not_unmatched()
        } else {
            Error::not_found("payment")
        });
    };
    if entry.resolution.is_some() {
        return Ok(entry);
    }
    if !outcome.needs_admin() {
        return Err(not_unmatched());
    }
    store::resolve_event(tx, id, by, note.as_str())?;
    if outcome == Outcome::Unmatched(Mismatch::AlreadyPaid)
        && let (Some(order), Some(duplicate)) = (entry.order_id, &entry.transaction_id)
        && let Some(payment) = find::lock_own_or_duplicate(tx, order, Some(duplicate))?
    {
        for (refund, _) in store::failed_refunds(tx, &payment)? {
            issue_refund::resolve(tx, refund, by, note.as_str())?;
        }
    }
    let (resolved, _) = store::lock_event(tx, id)?.ok_or_else(|| Error::not_found("payment"))?;
    tx.audit(Action::PaymentResolve, Some(&id), || {
        Changes::between(Some(&entry), Some(&resolved))
    })?;
    Ok(resolved)
}

fn not_unmatched() -> Error {
    NOT_UNMATCHED.error("only an unmatched payment can be resolved")
}
