//! The ids of a file: none is that of another product or variant.

use std::collections::HashMap;

use super::plan::Step;
use crate::{
    core::{
        error::Result,
        id::{ProductId, VariantId},
    },
    domain::catalog::{
        batch::BATCH_ROWS,
        csv::{ImportFile, RowError},
        store,
    },
    infra::db::Tx,
};

/// Returns an error for each new product or variant whose id in the file another product or variant has.
pub(super) fn check(
    tx: &mut Tx<'_>,
    file: &ImportFile,
    indices: &[usize],
    steps: &[Step],
) -> Result<Vec<RowError>> {
    let mut new = Vec::new();
    for (step, index) in steps.iter().zip(indices) {
        let product = &file.products[*index];
        let Some(id) = product.id else { continue };
        if matches!(step, Step::Create(_)) {
            new.push((product.line, "id", id, id.default_variant()));
        }
        let variants = step.changed_variants().iter();
        let variants = variants.filter(|variant| variant.is_new && variant.has_own_id);
        new.extend(variants.map(|it| (it.line, "variantId", id, it.after.id)));
    }
    let mut errors = Vec::new();
    let mut in_file: HashMap<VariantId, ProductId> = HashMap::new();
    for batch in new.chunks(BATCH_ROWS) {
        let ids: Vec<VariantId> = batch.iter().map(|(_, _, _, id)| *id).collect();
        let owners = store::id_owners(tx, &ids)?;
        for (line, column, product, id) in batch {
            let first = *in_file.entry(*id).or_insert(*product);
            let owner = owners.get(id).copied().unwrap_or(first);
            let why = if owner != *product {
                format!("`{column}` belongs to product {owner} already")
            } else if owners.contains_key(id) {
                format!(
                    "the variant with this `{column}` was deleted; leave it empty to create a new one"
                )
            } else {
                continue;
            };
            let line = *line;
            errors.push(RowError { line, why });
        }
    }
    Ok(errors)
}
