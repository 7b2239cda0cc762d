//! Retries refunds.

use super::apply::apply;
use crate::{
    core::{error::Result, id::RefundId},
    domain::payments,
    infra::{db::Tx, ports::Gateway},
};

/// Makes a refund due now; a failed one is requested again. Returns `false` if it was resolved meanwhile.
///
/// Errors: `refund-exceeds-captured` for a failed refund if less than its amount can still be refunded.
pub fn retry_refund(tx: &mut Tx<'_>, gateway: &dyn Gateway, id: RefundId) -> Result<bool> {
    let Some(effect) = payments::retry_refund(tx, gateway, id)? else {
        return Ok(false);
    };
    apply(tx, gateway, &[effect])?;
    Ok(true)
}
