//! Retries refunds.

use super::apply::apply;
use crate::{
    app::App,
    core::{error::Result, id::RefundId},
    domain::payments,
    infra::db::Tx,
};

/// Makes a refund due now; a failed one is requested again. Returns `false` if it was resolved meanwhile.
///
/// Errors: `refund-exceeds-captured` for a failed refund if less than its amount can still be refunded.
pub fn retry_refund(tx: &mut Tx<'_>, app: &App, id: RefundId) -> Result<bool> {
    let Some(effect) = payments::retry_refund(tx, app, id)? else {
        return Ok(false);
    };
    apply(tx, app, &[effect])?;
    Ok(true)
}
