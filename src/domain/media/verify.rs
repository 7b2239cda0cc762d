//! What products keep of their pictures, held against the pictures' own rows, which are the truth.

use super::store;
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings, Mendable},
    },
    infra::db::Tx,
};

/// The check of what products keep of their pictures; `catalog::repair` mends it.
pub const COPY: &str = "product-images";

/// Tells which products keep something else of their pictures than the pictures' own rows say.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let wrong = store::wrong_copies(tx)?.into_iter();
    let wrong = wrong.map(|id| {
        let says = "the pictures that it shows are not those of `product_images`".to_owned();
        Finding::about(format!("product {id}"), says).mendable(Mendable::Row(id.0))
    });
    findings.enter(COPY, wrong);
    Ok(())
}
