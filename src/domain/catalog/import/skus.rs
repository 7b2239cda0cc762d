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

/// Returns an error for each of the rows at these indices whose SKU belongs to a variant that keeps it. The rows may
/// exchange SKUs.
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
    let by_product: HashMap<ProductId, &ImportRow> = indices
        .iter()
        .map(|index| &file.rows[*index])
        .filter_map(|row| Some((row.id?, row)))
        .collect();
    // A file does not change the variants of products with options.
    let keeps = |product: &ProductId, has_options, key: &str| match by_product.get(product) {
        _ if has_options => true,
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
            let owner = owners.get(&sku.key).filter(|owner| row.id != Some(owner.0));
            let owner = owner.filter(|(owner, has_options)| keeps(owner, *has_options, &sku.key));
            if let Some((owner, _)) = owner {
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
    /// Errors: a spreadsheet has damaged a code.
    pub(super) fn changes(&self, current: &CurrentVariant) -> Result<bool, String> {
        let (sku, barcode) = (current.sku.as_deref(), current.barcode.as_deref());
        let new_sku = self.sku.applied_to(sku, |sku| sku.code.as_str());
        let new_barcode = self.barcode.applied_to(barcode, VariantCode::as_str);
        check_code("sku", sku, new_sku)?;
        check_code("barcode", barcode, new_barcode)?;
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

/// Errors: a spreadsheet has rounded the new code, or has removed the leading zeros of the current one.
fn check_code(column: &str, current: Option<&str>, new: Option<&str>) -> Result<(), String> {
    let Some(new) = new.filter(|new| current != Some(*new)) else {
        return Ok(());
    };
    if is_rounded_number(new) {
        return Err(format!(
            "`{column}` is a number that a spreadsheet has rounded; \
             enter the code again in a column formatted as text"
        ));
    }
    let Some(current) = current else {
        return Ok(());
    };
    let has_lost_zeros = is_digits(current)
        && is_digits(new)
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

/// Returns whether a text is a number of 12 digits or more as spreadsheets show it, such as `4.00638E+12`.
fn is_rounded_number(text: &str) -> bool {
    let Some((digits, exponent)) = text.split_once("E+") else {
        return false;
    };
    let is_mantissa = match digits.split_once(['.', ',']) {
        Some((first, rest)) => is_digits(first) && first.len() == 1 && is_digits(rest),
        None => is_digits(digits) && digits.len() == 1,
    };
    is_mantissa && is_digits(exponent) && exponent.parse().is_ok_and(|zeros: u16| zeros >= 11)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
