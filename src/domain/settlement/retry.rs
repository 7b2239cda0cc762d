//! Retries requests to the provider.

use uuid::Uuid;

use super::apply::apply;
use crate::{app::App, core::error::Result, domain::payments, infra::db::Tx};

/// Makes a request to the provider due now. Returns whether there is one with that id.
///
/// Errors: `refund-exceeds-captured` for a failed refund if less than its amount can still be refunded.
pub fn retry_job(tx: &mut Tx<'_>, app: &App, id: Uuid) -> Result<bool> {
    let Some(effect) = payments::retry_job(tx, app, id)? else {
        return Ok(false);
    };
    apply(tx, app, &[effect])?;
    Ok(true)
}
