//! Compares the rows of a CSV file with the catalog and plans what to do about each.

use std::collections::HashMap;

use super::{duplicates, skus};
use crate::{
    core::{
        error::{Error, Result},
        id::{CategoryId, ProductId},
        money::{Price, Stock},
    },
    domain::catalog::{
        batch::BATCH_ROWS,
        csv::{CategoryCell, ImportFile, ImportRow, RowError, StockCell},
        manage_categories::category_by_name,
        store::{self, CurrentProduct, CurrentVariant},
    },
    infra::db::Tx,
};

/// The result of comparing a file with the catalog.
#[derive(Debug, Default)]
pub struct ImportPlan {
    /// Ordered by line; includes the errors found while parsing the file.
    pub row_errors: Vec<RowError>,
    /// The indices of the rows that differ from the catalog.
    pub(super) pending: Vec<usize>,
}

impl ImportPlan {
    /// Returns how many rows differ from the catalog.
    pub fn pending_rows(&self) -> usize {
        self.pending.len()
    }
}

/// What to do about a row.
pub(super) enum Step {
    Create,
    Update(Update),
    Skip,
}

/// The new price and stock of an existing product.
pub(super) struct Update {
    pub(super) id: ProductId,
    pub(super) price: Price,
    pub(super) stock: i64,
    pub(super) delta: i64,
    pub(super) current_category: Option<CategoryId>,
    /// The variant, if the file has any column of it.
    pub(super) current_variant: Option<CurrentVariant>,
}

/// Compares a file with the catalog without changing anything.
///
/// Errors: `already-imported` if the file's stock differences were imported before.
pub fn plan_import(tx: &mut Tx<'_>, file: &ImportFile) -> Result<ImportPlan> {
    duplicates::check(tx, file)?;
    let all: Vec<usize> = (0..file.rows.len()).collect();
    let categories = category_ids(tx, file)?;
    let (steps, mut row_errors) = plan_steps(tx, file, &all, &categories)?;
    row_errors.extend_from_slice(file.row_errors());
    row_errors.sort_unstable();
    let pending = all.into_iter().zip(steps);
    Ok(ImportPlan {
        row_errors,
        pending: pending
            .filter(|(_, step)| !matches!(step, Step::Skip))
            .map(|(index, _)| index)
            .collect(),
    })
}

/// Returns the ids of the file's categories, `None` for those that do not exist yet.
pub(super) fn category_ids(tx: &mut Tx<'_>, file: &ImportFile) -> Result<Vec<Option<CategoryId>>> {
    let find = |name| Ok(category_by_name(tx, name)?.map(|category| category.id));
    file.categories.iter().map(find).collect()
}

/// Locks products and returns the columns of their variants, if the file has any of these columns.
fn current_variants(
    tx: &mut Tx<'_>,
    file: &ImportFile,
    products: &[ProductId],
) -> Result<HashMap<ProductId, CurrentVariant>> {
    // All rows have the same columns.
    let has_columns = file.rows.first().is_some_and(|row| row.variant.has_any());
    if !has_columns {
        return Ok(HashMap::new());
    }
    store::lock_products(tx, products, |_| Ok(()))?;
    store::current_variants(tx, products)
}

/// Returns a step for each of the rows at these indices, and the rows' errors. In a write transaction the
/// products are locked, so that the plan stays valid until it ends.
pub(super) fn plan_steps(
    tx: &mut Tx<'_>,
    file: &ImportFile,
    indices: &[usize],
    categories: &[Option<CategoryId>],
) -> Result<(Vec<Step>, Vec<RowError>)> {
    let mut steps: Vec<Step> = indices.iter().map(|_| Step::Create).collect();
    let mut row_errors = Vec::new();
    let with_id = |(at, index): (usize, &usize)| Some((file.rows[*index].id?, at));
    let mut with_ids: Vec<(ProductId, usize)> =
        indices.iter().enumerate().filter_map(with_id).collect();
    // Products are always locked in id order.
    with_ids.sort_unstable();
    for batch in with_ids.chunks(BATCH_ROWS) {
        let ids: Vec<ProductId> = batch.iter().map(|(id, _)| *id).collect();
        let variants = current_variants(tx, file, &ids)?;
        store::lock_products(tx, &ids, |current| {
            let found = batch.binary_search_by_key(&current.id, |(id, _)| *id);
            let at = found.map_err(|_| Error::internal("a product that was not requested"))?;
            let at = batch[at].1;
            let row = &file.rows[indices[at]];
            match row.step(&current, variants.get(&current.id), categories) {
                Ok(step) => steps[at] = step,
                Err(why) => {
                    row_errors.push(row.row_error(why));
                    steps[at] = Step::Skip;
                }
            }
            Ok(())
        })?;
    }
    row_errors.extend(skus::check(tx, file, indices)?);
    for (step, index) in steps.iter().zip(indices) {
        let row = &file.rows[*index];
        if let (Step::Create, Err(why)) = (step, row.check_new()) {
            row_errors.push(row.row_error(why));
        }
    }
    row_errors.sort_unstable();
    Ok((steps, row_errors))
}

impl ImportRow {
    /// Returns what the row changes about a product, or why it cannot be applied.
    fn step(
        &self,
        current: &CurrentProduct<'_>,
        variant: Option<&CurrentVariant>,
        categories: &[Option<CategoryId>],
    ) -> Result<Step, String> {
        if current.is_deleted {
            let why =
                "the product with this `id` was deleted; leave `id` empty to create a new one";
            return Err(why.to_owned());
        }
        let delta = match self.stock {
            StockCell::Set { to } => to - current.stock,
            StockCell::Moved { from, to } => to - from,
            StockCell::Empty | StockCell::NotExported { .. } => 0,
        };
        let stock = current.stock + delta;
        // Stock returned by orders may already exceed the maximum; only an increase is rejected.
        if delta < 0 && stock < 0 {
            return Err(format!(
                "`stockQuantity` takes {} from a stock of {}; count again, or export again",
                -delta, current.stock
            ));
        }
        if delta > 0 && stock > Stock::MAX {
            return Err(format!(
                "`stockQuantity` adds {delta} to a stock of {}; the maximum is {}",
                current.stock,
                Stock::MAX
            ));
        }
        let same_name = self
            .name
            .as_ref()
            .is_none_or(|name| name.text.as_str() == current.name);
        let description = self.description.as_ref();
        let same_description = description.is_none_or(|text| text.as_str() == current.description);
        let same_category = match self.category {
            CategoryCell::Absent => true,
            CategoryCell::Empty => current.category.is_none(),
            CategoryCell::Named(at) => {
                categories[at].is_some() && categories[at] == current.category
            }
        };
        let same_variant = match variant {
            _ if current.has_options => {
                let has_own = self.variant.changes(&CurrentVariant::default())?;
                if has_own || delta != 0 || self.price.is_some_and(|to| to != current.price) {
                    let why = "the product has options; change price, stock and codes of its variants instead";
                    return Err(why.to_owned());
                }
                true
            }
            Some(variant) => !self.variant.changes(variant)?,
            None if self.variant.has_any() => {
                return Err("the product has no variant; run `shop verify --repair`".to_owned());
            }
            None => true,
        };
        let price = self.price.unwrap_or(current.price);
        let same_numbers = delta == 0 && price == current.price;
        if same_name && same_description && same_category && same_numbers && same_variant {
            return Ok(Step::Skip);
        }
        Ok(Step::Update(Update {
            id: current.id,
            price,
            stock,
            delta,
            current_category: current.category,
            current_variant: variant.cloned(),
        }))
    }

    /// Errors: the row lacks a name or price, which only new products need.
    fn check_new(&self) -> Result<(), String> {
        if self.name.is_none() || self.price.is_none() {
            let why = "there is no product with this `id`; a new one needs `name` and `price`";
            return Err(why.to_owned());
        }
        if self.stock.initial() > Stock::MAX {
            return Err(format!(
                "`stockQuantity` must be a whole number from 0 to {}",
                Stock::MAX
            ));
        }
        self.variant.changes(&CurrentVariant::default()).map(drop)
    }

    fn row_error(&self, why: String) -> RowError {
        let line = self.line;
        RowError { line, why }
    }
}
