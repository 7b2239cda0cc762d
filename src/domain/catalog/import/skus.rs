//! The SKUs of a file: each belongs to one variant.

use std::collections::HashMap;

use super::{plan::Step, variants::PlannedVariant};
use crate::{
    core::{error::Result, id::VariantId},
    domain::catalog::{
        batch::BATCH_ROWS,
        csv::{RowError, VariantCells},
        normalize::case_fold,
        store::{self, ImportedColumns},
        variant::VariantCode,
    },
    infra::db::Tx,
};

/// Returns an error for each variant whose SKU belongs to another that keeps it. Variants may exchange SKUs.
pub(super) fn check(tx: &mut Tx<'_>, steps: &[Step]) -> Result<Vec<RowError>> {
    let changed = steps.iter().flat_map(Step::changed_variants);
    let keys = changed.clone().map(|variant| {
        let sku = variant.after.columns.sku.as_deref();
        (variant.after.id, sku.map(case_fold))
    });
    let keys: HashMap<VariantId, Option<String>> = keys.collect();
    let with_sku: Vec<(&PlannedVariant, &String)> = changed
        .filter_map(|variant| Some((variant, keys.get(&variant.after.id)?.as_ref()?)))
        .collect();
    let mut errors = Vec::new();
    for batch in with_sku.chunks(BATCH_ROWS) {
        let batch_keys: Vec<&str> = batch.iter().map(|(_, key)| key.as_str()).collect();
        let owners = store::sku_owners(tx, &batch_keys)?;
        for (variant, key) in batch {
            let keeps = |owner: VariantId| {
                let after = keys.get(&owner);
                owner != variant.after.id && after.is_none_or(|after| after.as_ref() == Some(key))
            };
            if let Some(owner) = owners.get(*key).filter(|owner| keeps(owner.variant)) {
                let line = variant.line;
                let why = format!("`sku` belongs to product {} already", owner.product);
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
    pub(super) fn changes(&self, current: &ImportedColumns) -> Result<bool, String> {
        let (sku, barcode) = (current.sku.as_deref(), current.barcode.as_deref());
        let new_sku = self.sku.applied_to(sku, VariantCode::as_str);
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
    pub(super) fn applied_to(&self, current: ImportedColumns) -> ImportedColumns {
        let text = |code: &VariantCode| code.as_str().to_owned();
        ImportedColumns {
            sku: self.sku.applied_to(current.sku, text),
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
