//! Exports all products as CSV rows: one for each variant.

use super::{
    csv::{ExportColumns, ExportRow},
    store,
};
use crate::{core::error::Result, domain::media, infra::db::Tx};

/// Returns the columns that an export has.
pub fn export_columns(tx: &mut Tx<'_>) -> Result<ExportColumns> {
    Ok(ExportColumns {
        has_codes: store::has_codes(tx)?,
        has_options: store::has_options(tx)?,
    })
}

/// Calls `each` with every variant, ordered by the ids of the products, from one snapshot. `begin` is called first, with the
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
