//! Sets the options of a product.

use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Field, Result},
    },
    domain::catalog::{
        get::with_variants,
        kept_values,
        options::{NewOption, Selection},
        problems::OPTION_IN_USE,
        store,
        variant::{ProductWithVariants, Variant},
    },
    infra::db::Tx,
};

/// Replaces the options of a product. `current` has been read with its row locked. The variants keep their values, and
/// have those in `assign` of new options.
///
/// Errors: `option-in-use` if a variant has a value that would be removed; a field error of `options` or `assign`.
pub fn set_options(
    tx: &mut Tx<'_>,
    current: &ProductWithVariants,
    new: &[NewOption],
    assign: &Selection,
) -> Result<ProductWithVariants> {
    let id = current.product.id;
    let options = current
        .options
        .replaced_by(new, || tx.rng().uuid(tx.now()))?;
    let assigned = options.assigned(&current.options, assign)?;
    if options == current.options {
        return with_variants(tx, current.product.clone());
    }
    let mut selections = Vec::with_capacity(current.variants.len());
    let mut in_use = Vec::new();
    for variant in &current.variants {
        let values = current.options.of_variant(variant.id, &variant.options)?;
        match options.reselect(&values, &assigned) {
            Some(values) => selections.push((variant, values)),
            None => in_use.push(variant),
        }
    }
    if !in_use.is_empty() {
        return Err(option_in_use(&in_use));
    }
    store::set_options(tx, id, &options)?;
    for (variant, values) in selections {
        let options = values.to_options();
        if options != variant.options {
            store::set_variant_options(tx, variant.id, &values.key(), &options.to_json()?)?;
        }
    }
    let product = kept_values::update(tx, id)?;
    tx.audit(Action::ProductUpdate, Some(&id), || {
        Changes::none().field("options", &current.options, &options)
    })?;
    let updated = with_variants(tx, product)?;
    for before in &current.variants {
        let mut after = updated.variants.iter();
        let after = after.find(|after| after.id == before.id);
        if let Some(after) = after.filter(|after| after.options != before.options) {
            tx.audit(Action::VariantUpdate, Some(&before.id), || {
                Changes::between(Some(before), Some(after))
            })?;
        }
    }
    Ok(updated)
}

fn option_in_use(variants: &[&Variant]) -> Error {
    let fields = variants.iter().map(|variant| Field {
        product_id: Some(variant.product_id),
        variant_id: Some(variant.id),
        ..Field::new("options", OPTION_IN_USE.code(), &variant.title)
    });
    OPTION_IN_USE
        .error("variants have values that the list does not contain")
        .with_fields(fields.collect())
}
