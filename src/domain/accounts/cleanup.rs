//! Deletion of expired rows.

use super::{attempt_limits, known_networks, store};
use crate::{
    core::{clock::Timestamp, error::Result},
    infra::db::Tx,
};

/// Deletes expired sessions, link tokens, phone codes, attempt counters and known networks, and refresh
/// tokens that were spent before `spent_before`.
pub fn delete_expired(tx: &mut Tx<'_>, spent_before: Timestamp) -> Result<()> {
    store::sessions::delete_expired(tx, spent_before)?;
    store::link_tokens::delete_expired(tx)?;
    store::phone_codes::delete_expired(tx)?;
    attempt_limits::delete_expired(tx)?;
    known_networks::delete_expired(tx)
}
