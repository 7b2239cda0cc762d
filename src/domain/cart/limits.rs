//! The limits of a cart: its lines, its total, the stock.

use super::{Line, total};
use crate::{
    core::{
        error::{Error, Result},
        money::MAX_AMOUNT,
    },
    domain::catalog,
};

/// The maximum number of lines in a cart.
pub(super) const MAX_LINES: usize = 100;

/// Errors: `out-of-range` if the total would exceed the largest amount.
pub(super) fn check_total(lines: &[Line]) -> Result<()> {
    let (_, is_capped) = total(lines)?;
    if !is_capped {
        return Ok(());
    }
    let message = format!("the total would exceed {MAX_AMOUNT}");
    Err(Error::field("totalAmount", "out-of-range", message))
}

/// Errors: `insufficient-stock`.
pub(super) fn check_stock(line: &Line) -> Result<()> {
    match line.shortage(|| "quantity".to_owned()) {
        Some(shortage) => Err(catalog::insufficient(&[shortage])),
        None => Ok(()),
    }
}
