//! Creates products with variants.

use std::collections::HashSet;

use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Field, Result},
        event::{StockChange, VariantStock},
        id::ProductId,
        money::Stock,
    },
    domain::catalog::{
        get::{product, with_variants},
        kept_values,
        manage_categories::check_category,
        normalize::{case_fold, normalize, slug},
        options::{ProductOptions, SelectedValues},
        search,
        stock::{Cause, Movement},
        store::{self, ProductColumns},
        variant::{
            MAX_VARIANTS, NewProductWithVariants, NewVariant, ProductWithVariants, VariantPosition,
        },
        write_variant,
    },
    infra::db::Tx,
};

/// Creates a product with variants: several with options, or one without.
///
/// Errors: `sku-taken`; a field error of `options`, `variants` or `categoryId`.
pub fn create_with_variants(
    tx: &mut Tx<'_>,
    new: &NewProductWithVariants,
) -> Result<ProductWithVariants> {
    check_category(tx, new.category)?;
    let options = ProductOptions::default().replaced_by(&new.options, || tx.id())?;
    let selections = selections(&options, &new.variants)?;
    let id: ProductId = tx.id();
    insert_product(tx, id, new, &options)?;
    let mut movements = Vec::with_capacity(new.variants.len());
    let mut stocks = Vec::with_capacity(new.variants.len());
    for (at, (variant, selected)) in (0..).zip(new.variants.iter().zip(&selections)) {
        let position = variant
            .position
            .map_or_else(|| VariantPosition::try_from(at), Ok);
        let position = position.map_err(Error::internal)?;
        let variant_id = write_variant::insert(tx, id, variant, selected, position)?;
        let stock = variant.stock.get();
        movements.push(Movement::of_variant(Cause::Create, id, variant_id, stock));
        stocks.push(VariantStock::now(variant_id, stock));
    }
    let product = if options.is_empty() {
        stocks.clear();
        let product = product(tx, id)?;
        search::index_product(tx, &product)?;
        product
    } else {
        kept_values::update(tx, id)?
    };
    store::insert_movements(tx, &movements)?;
    // Counters come last, because others wait for their locks.
    store::add_to_product_count(tx, 1)?;
    store::add_to_category_count(tx, new.category, 1)?;
    tx.emit_stock(&[StockChange {
        variants: stocks,
        ..StockChange::now(id, product.stock_quantity)
    }])?;
    let created = with_variants(tx, product)?;
    tx.audit(Action::ProductCreate, Some(&id), || {
        Changes::between(None, Some(&created))
    })?;
    Ok(created)
}

/// Inserts the row of the product. The kept values of a product with options are set later.
fn insert_product(
    tx: &mut Tx<'_>,
    id: ProductId,
    new: &NewProductWithVariants,
    options: &ProductOptions,
) -> Result<()> {
    let name = new.name.as_str();
    let first = new.variants.first();
    let first = first.ok_or_else(|| Error::field("variants", "required", "send at least one"))?;
    let columns = ProductColumns {
        name,
        name_key: &normalize(name),
        slug: &slug(name),
        description: new.description.as_str(),
        price: first.price,
        category: new.category,
    };
    if options.is_empty() {
        return store::insert(tx, id, &columns, first.stock);
    }
    store::insert(tx, id, &columns, Stock::NONE)?;
    store::set_options(tx, id, options)
}

/// Returns the values that each variant selects.
///
/// Errors: a field error for each that is wrong.
fn selections<'a>(
    options: &'a ProductOptions,
    variants: &[NewVariant],
) -> Result<Vec<SelectedValues<'a>>> {
    if variants.len() > MAX_VARIANTS {
        let message = format!("a product has at most {MAX_VARIANTS} variants");
        return Err(Error::field("variants", "too-many", message));
    }
    let mut wrong = Vec::new();
    let (mut keys, mut skus) = (HashSet::new(), HashSet::new());
    let mut selections = Vec::with_capacity(variants.len());
    for (at, variant) in variants.iter().enumerate() {
        let field = |name: &str| format!("variants[{at}].{name}");
        match options.select(&variant.options, &field("options")) {
            Ok(selected) => {
                if !keys.insert(selected.key()) {
                    let message = "another variant has these options";
                    wrong.push(Field::new(field("options"), "duplicate", message));
                }
                selections.push(selected);
            }
            Err(fields) => wrong.extend(fields),
        }
        let sku = variant.sku.as_ref().map(|sku| case_fold(sku.as_str()));
        if sku.is_some_and(|sku| !skus.insert(sku)) {
            let message = "another variant has this SKU; case and width do not matter";
            wrong.push(Field::new(field("sku"), "duplicate", message));
        }
        if variant.image.is_some() {
            let message = "the product has no images yet; add them, then set it";
            wrong.push(Field::new(field("imageId"), "unknown-image", message));
        }
    }
    Error::unless_empty(wrong)?;
    Ok(selections)
}
