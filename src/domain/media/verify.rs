//! Compares the image copies in `products.images` and the deletion jobs with the rows of `product_images`, which are
//! authoritative.

use super::store;
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings, Repairable},
    },
    infra::db::Tx,
};

/// The name of the check; `catalog::repair` repairs its findings.
pub const PRODUCT_IMAGES_CHECK: &str = "product-images";

/// Reports products whose image copies differ from their rows in `product_images`, and deletions of images in use.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let products = store::mismatched_copies(tx)?.into_iter();
    let found = products.map(|id| {
        let says = "its images differ from those in `product_images`".to_owned();
        Finding::new(format!("product {id}"), says).repairable(Repairable::Row(id.0))
    });
    findings.record(PRODUCT_IMAGES_CHECK, found);

    let images = store::in_use_to_delete(tx)?.into_iter();
    let found = images.map(|(image, product)| {
        let remedy = "the running server cancels this when it is due";
        let says = format!("it is queued for deletion, but product {product} has it; {remedy}");
        Finding::new(format!("image {image}"), says)
    });
    findings.record("image-job", found);
    Ok(())
}
