//! The SKUs of a file: each belongs to one variant.

use std::collections::HashMap;

use crate::{
    core::{error::Result, id::ProductId},
    domain::catalog::{
        batch::BATCH_ROWS,
        csv::{ImportFile, ImportRow, RowError, SkuCell, VariantCells},
        store::{self, CurrentVariant},
        variant::VariantCode,
    },
    infra::db::Tx,
};

/// Returns the errors of the rows whose SKU a variant has that keeps it. Others may exchange theirs.
pub(super) fn check(
    tx: &mut Tx<'_>,
    file: &ImportFile,
    indices: &[usize],
) -> Result<Vec<RowError>> {
    let with_sku: Vec<(&ImportRow, &SkuCell)> = indices
        .iter()
        .filter_map(|index| {
            let row = &file.rows[*index];
            row.variant.sku.value().map(|sku| (row, sku))
        })
        .collect();
    if with_sku.is_empty() {
        return Ok(Vec::new());
    }
    let by_product: HashMap<ProductId, &ImportRow> = file
        .rows
        .iter()
        .filter_map(|row| Some((row.id?, row)))
        .collect();
    let keeps = |product: &ProductId, key: &str| match by_product.get(product) {
        Some(row) if !row.variant.sku.is_absent() => {
            row.variant.sku.value().is_some_and(|sku| sku.key == key)
        }
        _ => true,
    };
    let mut errors = Vec::new();
    for batch in with_sku.chunks(BATCH_ROWS) {
        let keys: Vec<&str> = batch.iter().map(|(_, sku)| sku.key.as_str()).collect();
        let owners = store::products_with_skus(tx, &keys)?;
        for (row, sku) in batch {
            let owner = owners.get(&sku.key).filter(|owner| row.id != Some(**owner));
            if let Some(owner) = owner.filter(|owner| keeps(owner, &sku.key)) {
                let why = format!("`sku` belongs to product {owner} already");
                let line = row.line;
                errors.push(RowError { line, why });
            }
        }
    }
    Ok(errors)
}

impl VariantCells {
    /// Returns whether the cells change the variant.
    ///
    /// Errors: a spreadsheet has removed the leading zeros of a code.
    pub(super) fn changes(&self, current: &CurrentVariant) -> Result<bool, String> {
        let (sku, barcode) = (current.sku.as_deref(), current.barcode.as_deref());
        let new_sku = self.sku.applied_to(sku, |sku| sku.code.as_str());
        let new_barcode = self.barcode.applied_to(barcode, VariantCode::as_str);
        check_zeros("sku", sku, new_sku)?;
        check_zeros("barcode", barcode, new_barcode)?;
        let price = current.compare_at_price;
        Ok(new_sku != sku
            || new_barcode != barcode
            || self.compare_at_price.applied_to(price, |price| *price) != price
            || self.weight.applied_to(current.weight, |weight| *weight) != current.weight)
    }

    /// Returns the variant's columns after the import.
    pub(super) fn applied_to(&self, current: CurrentVariant) -> CurrentVariant {
        let text = |code: &VariantCode| code.as_str().to_owned();
        CurrentVariant {
            sku: self.sku.applied_to(current.sku, |sku| text(&sku.code)),
            barcode: self.barcode.applied_to(current.barcode, text),
            compare_at_price: self
                .compare_at_price
                .applied_to(current.compare_at_price, |price| *price),
            weight: self.weight.applied_to(current.weight, |weight| *weight),
        }
    }
}

/// Errors: the new code is the current one without leading zeros.
fn check_zeros(column: &str, current: Option<&str>, new: Option<&str>) -> Result<(), String> {
    let (Some(current), Some(new)) = (current, new) else {
        return Ok(());
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_lost_zeros = is_number(current)
        && is_number(new)
        && new.len() < current.len()
        && current.trim_start_matches('0') == new.trim_start_matches('0');
    if has_lost_zeros {
        return Err(format!(
            "`{column}` is `{current}` without its leading zeros, which a spreadsheet removes; \
             format the column as text, or leave it out"
        ));
    }
    Ok(())
}
