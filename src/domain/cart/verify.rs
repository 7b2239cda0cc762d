//! Checks the carts for inconsistencies.

use super::store;
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings},
    },
    infra::db::Tx,
};

/// Reports carts that do not have exactly one owner, and carts with lines that were merged into another.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let wrong = store::wrong_carts(tx)?.into_iter();
    let wrong = wrong.map(|(id, is_merged)| {
        let says = if is_merged {
            "it was merged into another cart, but has lines; delete them"
        } else {
            "it must belong to either an account or a guest; delete it"
        };
        Finding::new(format!("cart {id}"), says.to_owned())
    });
    findings.record("cart-owner", wrong);
    Ok(())
}
