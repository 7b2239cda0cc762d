//! Applies an import plan: creates and updates products in batches.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    duplicates,
    plan::{ImportPlan, Step, Update, category_ids, plan_steps},
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Kind, Result},
        id::{CategoryId, ProductId},
    },
    domain::catalog::{
        batch::{BATCH_ROWS, BatchEffects},
        csv::{CategoryCell, ImportFile, ImportRow, RowError, StockCell},
        manage_categories::{category_by_name, insert_category},
        normalize::{normalize, slug},
        search,
        stock::{Cause, Movement},
        store::{self, CurrentVariant, ProductColumns, ProductRow},
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
    /// Categories that were created.
    pub categories: usize,
    /// New products whose row has image URLs: images are not imported.
    pub without_images: usize,
    /// Existing products whose stock was overwritten, regardless of orders placed since the export.
    pub stock_set: usize,
    /// Rows of existing products whose `stockQuantity` was ignored because `stockAtExport` is empty.
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
        unchanged: file.rows.len() - plan.pending.len(),
        categories: add_missing_categories(tx, file, &mut categories)?,
        ..ImportSummary::default()
    };
    let is_ignored =
        |row: &ImportRow| row.id.is_some() && matches!(row.stock, StockCell::NotExported { .. });
    summary.stock_ignored = file.rows.iter().filter(|row| is_ignored(row)).count();
    let mut effects = BatchEffects::default();
    let (mut new, mut updates) = (Vec::new(), Vec::new());
    for (index, step) in plan.pending.iter().zip(steps) {
        let row = &file.rows[*index];
        match step {
            Step::Skip => summary.unchanged += 1,
            Step::Create => {
                summary.created += 1;
                summary.without_images += usize::from(row.has_images);
                summary.stock_ignored -= usize::from(is_ignored(row));
                let id = row.id.unwrap_or_else(|| tx.id());
                let category = row.new_category(None, &categories);
                effects.add_created(Cause::Import, id, row.stock.initial(), category);
                new.push((row, id));
            }
            Step::Update(update) => {
                summary.updated += 1;
                let is_set = matches!(row.stock, StockCell::Set { .. }) && update.delta != 0;
                summary.stock_set += usize::from(is_set);
                let from = update.current_category;
                effects.add_moved(from, row.new_category(from, &categories));
                if update.delta != 0 {
                    let movement = Movement::of(Cause::Import, update.id, update.delta);
                    effects.add_movement(movement, update.stock);
                }
                updates.push((row, update));
            }
        }
    }
    // Rows may exchange SKUs.
    let changes_sku = updates
        .iter()
        .filter(|(row, _)| !row.variant.sku.is_absent());
    let changes_sku: Vec<ProductId> = changes_sku.map(|(_, update)| update.id).collect();
    for batch in changes_sku.chunks(BATCH_ROWS) {
        store::remove_skus(tx, batch)?;
    }
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

fn insert(
    tx: &mut Tx<'_>,
    new: &[(&ImportRow, ProductId)],
    categories: &[Option<CategoryId>],
) -> Result<()> {
    let missing = || Error::internal("a new product has no name or no price");
    let rows = new.iter().map(|(row, id)| {
        let name = row.name.as_ref().ok_or_else(missing)?;
        Ok(ProductRow {
            id: *id,
            at: tx.now(),
            stock: row.stock.initial(),
            columns: ProductColumns {
                name: name.text.as_str(),
                name_key: &name.key,
                slug: &name.slug,
                description: row.description.as_ref().map_or("", |text| text.as_str()),
                price: row.price.ok_or_else(missing)?,
                category: row.new_category(None, categories),
            },
        })
    });
    let rows: Vec<_> = rows.collect::<Result<_>>()?;
    store::insert_all(tx, &rows)?;
    for (row, id) in new.iter().filter(|(row, _)| row.variant.has_any()) {
        let columns = row.variant.applied_to(CurrentVariant::default());
        store::write_variant(tx, *id, &columns)?;
    }
    search::index_rows(tx, &rows)
}

/// Writes whole rows. Names and descriptions that the file does not change are read from the locked rows.
fn update(
    tx: &mut Tx<'_>,
    updates: &[(&ImportRow, Update)],
    categories: &[Option<CategoryId>],
) -> Result<()> {
    let keeps_text = |row: &ImportRow| row.name.is_none() || row.description.is_none();
    let ids = updates.iter().filter(|(row, _)| keeps_text(row));
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
    let rows = updates.iter().map(|(row, update)| {
        let current = current_texts.get(&update.id);
        let (name, name_key, slug) = if let Some(name) = &row.name {
            (name.text.as_str(), &name.key, &name.slug)
        } else {
            let (key, slug, name, _) = current.ok_or_else(missing)?;
            (name.as_str(), key, slug)
        };
        let description = match &row.description {
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
                category: row.new_category(update.current_category, categories),
            },
        })
    });
    let rows: Vec<_> = rows.collect::<Result<_>>()?;
    store::update_all(tx, &rows)?;
    for (row, update) in updates {
        if let Some(current) = update.current_variant.clone() {
            store::write_variant(tx, update.id, &row.variant.applied_to(current))?;
        }
    }
    search::index_rows(tx, &rows)
}

impl ImportRow {
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
