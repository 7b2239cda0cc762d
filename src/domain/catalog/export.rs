//! Exports all products as CSV rows.

use super::{csv::ExportRow, store};
use crate::{core::error::Result, domain::media, infra::db::Tx};

/// Returns whether any variant has a SKU or another column of its own, so that an export has these columns.
pub fn has_variant_columns(tx: &mut Tx<'_>) -> Result<bool> {
    store::has_variant_columns(tx)
}

/// Calls `each` with every product, ordered by id, from one snapshot. `begin` is called first, with the
/// number of products.
pub fn export(
    tx: &mut Tx<'_>,
    begin: impl FnOnce(i64),
    mut each: impl FnMut(&ExportRow<'_>) -> Result<()>,
) -> Result<()> {
    let public_url = &tx.settings().public_url;
    begin(store::product_count(tx)?);
    store::each_export_row(tx, |mut row, images| {
        let images = media::parse_images(images, public_url)?;
        let urls: Vec<_> = images.into_iter().map(|image| image.url).collect();
        row.images = urls.join(" ");
        each(&row)
    })
}
