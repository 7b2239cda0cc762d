//! Applies an import plan: creates and updates products and their variants in batches.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    duplicates,
    plan::{Creation, ImportPlan, Step, Update, category_ids, plan_steps},
    variants::{PlannedVariant, PlannedVariants},
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Kind, Result},
        event::VariantStock,
        id::{CategoryId, ProductId, VariantId},
    },
    domain::catalog::{
        batch::{BATCH_ROWS, BatchEffects},
        csv::{CategoryCell, ImportFile, ImportProduct, RowError, StockCell},
        manage_categories::{category_by_name, insert_category},
        normalize::{normalize, slug},
        search,
        stock::{Cause, Movement},
        store::{self, ProductColumns, ProductRow, VariantRow},
    },
    infra::db::Tx,
};

/// If an import writes at least one in this many products, the search index is merged afterwards.
const MERGE_FRACTION: usize = 20;

/// What an import changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportSummary {
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
    /// Variants with options that were created.
    pub variants_created: usize,
    /// Variants with options that were changed.
    pub variants_updated: usize,
    /// Categories that were created.
    pub categories: usize,
    /// New products whose rows have image URLs: images are not imported.
    pub without_images: usize,
    /// Existing variants whose stock was overwritten, regardless of orders placed since the export.
    pub stock_set: usize,
    /// Rows of existing variants whose `stockQuantity` was ignored because `stockAtExport` is empty.
    pub stock_ignored: usize,
}

/// Applies a plan. Returns the row errors, having written nothing, if the plan is no longer valid. `progress`
/// is called with the number of products written so far.
///
/// Errors: `already-imported` if the file's stock differences were imported before.
pub fn import(
    tx: &mut Tx<'_>,
    file: &ImportFile,
    plan: &ImportPlan,
    mut progress: impl FnMut(usize),
) -> Result<Result<ImportSummary, Vec<RowError>>> {
    let mut categories = category_ids(tx, file)?;
    let (steps, row_errors) = plan_steps(tx, file, &plan.pending, &categories)?;
    if !row_errors.is_empty() {
        return Ok(Err(row_errors));
    }
    // A concurrent import of the same file has waited for the product locks until here.
    duplicates::record(tx, file)?;
    let mut summary = ImportSummary {
        unchanged: file.products.len() - plan.pending.len(),
        categories: add_missing_categories(tx, file, &mut categories)?,
        ..ImportSummary::default()
    };
    let mut effects = BatchEffects::default();
    let (mut new, mut updates) = (Vec::new(), Vec::new());
    let mut ignored: usize = file.products.iter().map(ignored_rows).sum();
    for (index, step) in plan.pending.iter().zip(steps) {
        let product = &file.products[*index];
        match step {
            Step::Skip => summary.unchanged += 1,
            Step::Create(created) => {
                ignored -= ignored_rows(product);
                summary.created += 1;
                summary.without_images += usize::from(product.has_images);
                summary.add_variants(&created.variants.changed);
                add_creation(&mut effects, product, &created, &categories);
                new.push((product, created));
            }
            Step::Update(update) => {
                let variants = update.variants.changed.iter();
                ignored -= variants
                    .filter(|variant| variant.is_new && is_ignored(variant.stock))
                    .count();
                summary.updated += 1;
                let is_set = matches!(product.first().stock, StockCell::Set { .. });
                summary.stock_set += usize::from(is_set && update.delta != 0);
                summary.add_variants(&update.variants.changed);
                add_update(&mut effects, product, &update, &categories);
                updates.push((product, update));
            }
        }
    }
    summary.stock_ignored = ignored;
    release_keys(tx, &updates)?;
    let mut written = 0;
    for batch in new.chunks(BATCH_ROWS) {
        insert(tx, batch, &categories)?;
        written += batch.len();
        progress(written);
    }
    for batch in updates.chunks(BATCH_ROWS) {
        update(tx, batch, &categories)?;
        written += batch.len();
        progress(written);
    }
    effects.write(tx)?;
    let weighted = i64::try_from(written * MERGE_FRACTION).map_err(Error::internal)?;
    if weighted >= store::product_count(tx)? {
        search::merge_search_index(tx)?;
    }
    tx.audit(Action::CatalogImport, None, || {
        Changes::between(None, Some(&summary)).with("sha256", hex::encode(file.sha256))
    })?;
    Ok(Ok(summary))
}

/// Returns how many rows of a product with an id have stock without `stockAtExport`, which an existing variant ignores.
fn ignored_rows(product: &ImportProduct) -> usize {
    let ignored = product.variants.iter().filter(|row| is_ignored(row.stock));
    if product.id.is_some() {
        ignored.count()
    } else {
        0
    }
}

fn is_ignored(stock: StockCell) -> bool {
    matches!(stock, StockCell::NotExported { .. })
}

fn add_creation(
    effects: &mut BatchEffects,
    product: &ImportProduct,
    created: &Creation,
    categories: &[Option<CategoryId>],
) {
    let category = product.new_category(None, categories);
    if created.variants.options.is_none() {
        let stock = product.first().stock.initial();
        effects.add_created(Cause::Import, created.id, stock, category);
        return;
    }
    effects.add_created_product(category);
    let stock = created.variants.changed.iter().map(|it| it.delta).sum();
    add_variant_movements(effects, created.id, stock, &created.variants.changed);
}

fn add_update(
    effects: &mut BatchEffects,
    product: &ImportProduct,
    update: &Update,
    categories: &[Option<CategoryId>],
) {
    let from = update.current_category;
    effects.add_moved(from, product.new_category(from, categories));
    if update.has_options {
        add_variant_movements(effects, update.id, update.stock, &update.variants.changed);
    } else if update.delta != 0 {
        let movement = Movement::of(Cause::Import, update.id, update.delta);
        effects.add_movement(movement, update.stock);
    }
}

/// Adds the movements of the variants whose stock changes. `stock` is that of the product.
fn add_variant_movements(
    effects: &mut BatchEffects,
    product: ProductId,
    stock: i64,
    changed: &[PlannedVariant],
) {
    let moved = changed
        .iter()
        .filter(|variant| variant.is_new || variant.delta != 0);
    let moved = moved.map(|variant| {
        let id = variant.after.id;
        let movement = Movement::of_variant(Cause::Import, product, id, variant.delta);
        let own = variant.after.stock.unwrap_or_default();
        (movement, VariantStock::now(id, own))
    });
    effects.add_variant_movements(moved, product, stock);
}

/// Creates the file's categories that do not exist yet and fills in their ids; returns how many.
fn add_missing_categories(
    tx: &mut Tx<'_>,
    file: &ImportFile,
    categories: &mut [Option<CategoryId>],
) -> Result<usize> {
    let mut added = 0;
    for (name, id) in file.categories.iter().zip(categories) {
        if id.is_none() {
            *id = match insert_category(tx, name) {
                Ok(created) => {
                    added += 1;
                    Some(created.id)
                }
                // Another transaction has just created it, or the file spells it in two ways.
                Err(error) if matches!(error.kind(), Kind::Conflict(_)) => {
                    let existing = category_by_name(tx, name)?.ok_or(error)?;
                    Some(existing.id)
                }
                Err(error) => return Err(error),
            };
        }
    }
    Ok(added)
}

/// Marks the variants that change as deleted until they are written, since rows may exchange SKUs and options.
fn release_keys(tx: &mut Tx<'_>, updates: &[(&ImportProduct, Update)]) -> Result<()> {
    let changed = updates
        .iter()
        .flat_map(|(_, update)| &update.variants.changed);
    let existing = changed.filter(|variant| !variant.is_new);
    let existing: Vec<VariantId> = existing.map(|variant| variant.after.id).collect();
    for batch in existing.chunks(BATCH_ROWS) {
        store::release_keys(tx, batch)?;
    }
    Ok(())
}

fn insert(
    tx: &mut Tx<'_>,
    new: &[(&ImportProduct, Creation)],
    categories: &[Option<CategoryId>],
) -> Result<()> {
    let missing = || Error::internal("a new product has no name or no price");
    let rows = new.iter().map(|(product, created)| {
        let name = product.name.as_ref().ok_or_else(missing)?;
        Ok(ProductRow {
            id: created.id,
            at: tx.now(),
            stock: product.first().stock.initial(),
            columns: ProductColumns {
                name: name.text.as_str(),
                name_key: &name.key,
                slug: &name.slug,
                description: product
                    .description
                    .as_ref()
                    .map_or("", |text| text.as_str()),
                price: product.first().price.ok_or_else(missing)?,
                category: product.new_category(None, categories),
            },
        })
    });
    let mut rows: Vec<_> = rows.collect::<Result<_>>()?;
    store::insert_all(tx, &rows)?;
    let without_options = new
        .iter()
        .filter(|(_, created)| created.variants.options.is_none());
    let without_options: Vec<ProductId> = without_options.map(|(_, created)| created.id).collect();
    if !without_options.is_empty() {
        store::insert_variants(tx, &without_options)?;
    }
    let planned = new
        .iter()
        .map(|(_, created)| (created.id, &created.variants));
    write_variants(tx, planned, &mut rows)?;
    search::index_rows(tx, &rows)
}

/// Writes whole rows. Names and descriptions that the file does not change are read from the locked rows.
fn update(
    tx: &mut Tx<'_>,
    updates: &[(&ImportProduct, Update)],
    categories: &[Option<CategoryId>],
) -> Result<()> {
    let keeps_text =
        |product: &ImportProduct| product.name.is_none() || product.description.is_none();
    let ids = updates.iter().filter(|(product, _)| keeps_text(product));
    let ids: Vec<_> = ids.map(|(_, update)| update.id).collect();
    let mut current_texts = HashMap::new();
    if !ids.is_empty() {
        store::lock_products(tx, &ids, |current| {
            let (name, description) = (current.name.to_owned(), current.description.to_owned());
            current_texts.insert(
                current.id,
                (normalize(&name), slug(&name), name, description),
            );
            Ok(())
        })?;
    }
    let missing = || Error::internal("a locked product was not found");
    let rows = updates.iter().map(|(product, update)| {
        let current = current_texts.get(&update.id);
        let (name, name_key, slug) = if let Some(name) = &product.name {
            (name.text.as_str(), &name.key, &name.slug)
        } else {
            let (key, slug, name, _) = current.ok_or_else(missing)?;
            (name.as_str(), key, slug)
        };
        let description = match &product.description {
            Some(text) => text.as_str(),
            None => current.map(|texts| texts.3.as_str()).ok_or_else(missing)?,
        };
        Ok(ProductRow {
            id: update.id,
            at: tx.now(),
            stock: update.stock,
            columns: ProductColumns {
                name,
                name_key,
                slug,
                description,
                price: update.price,
                category: product.new_category(update.current_category, categories),
            },
        })
    });
    let mut rows: Vec<_> = rows.collect::<Result<_>>()?;
    store::update_all(tx, &rows)?;
    let planned = updates
        .iter()
        .map(|(_, update)| (update.id, &update.variants));
    write_variants(tx, planned, &mut rows)?;
    search::index_rows(tx, &rows)
}

/// Writes options, variants and what their products keep of them, and corrects price and stock of these rows.
fn write_variants<'a>(
    tx: &mut Tx<'_>,
    planned: impl Iterator<Item = (ProductId, &'a PlannedVariants)>,
    rows: &mut [ProductRow<'_>],
) -> Result<()> {
    let mut written = Vec::new();
    let mut with_options = Vec::new();
    for (product, variants) in planned {
        if let Some(options) = &variants.options {
            store::set_options(tx, product, options)?;
        }
        if variants.changed.iter().any(PlannedVariant::has_options) {
            with_options.push(product);
        }
        written.extend(variants.changed.iter().map(|planned| VariantRow {
            product,
            variant: &planned.after,
        }));
    }
    for batch in written.chunks(BATCH_ROWS) {
        store::write_variants(tx, batch)?;
    }
    if with_options.is_empty() {
        return Ok(());
    }
    store::set_kept_values(tx, &with_options)?;
    let mut kept = HashMap::new();
    store::lock_products(tx, &with_options, |product| {
        kept.insert(product.id, (product.price, product.stock));
        Ok(())
    })?;
    for row in rows {
        if let Some((price, stock)) = kept.get(&row.id) {
            (row.columns.price, row.stock) = (*price, *stock);
        }
    }
    Ok(())
}

impl ImportSummary {
    /// Counts the variants with options among these.
    fn add_variants(&mut self, changed: &[PlannedVariant]) {
        for variant in changed.iter().filter(|variant| variant.has_options()) {
            if variant.is_new {
                self.variants_created += 1;
            } else {
                self.variants_updated += 1;
                let is_set = matches!(variant.stock, StockCell::Set { .. });
                self.stock_set += usize::from(is_set && variant.delta != 0);
            }
        }
    }
}

impl ImportProduct {
    /// Returns the product's category after the import; `current` is its category before.
    fn new_category(
        &self,
        current: Option<CategoryId>,
        categories: &[Option<CategoryId>],
    ) -> Option<CategoryId> {
        match self.category {
            CategoryCell::Absent => current,
            CategoryCell::Empty => None,
            CategoryCell::Named(at) => categories[at],
        }
    }
}
