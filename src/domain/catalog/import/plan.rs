//! Compares the products of a CSV file with the catalog and plans what to do about each.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    duplicates, ids, skus,
    variants::{PlannedVariant, PlannedVariants},
};
use crate::{
    core::{
        error::{Error, Result},
        id::{CategoryId, ProductId},
        money::Price,
    },
    domain::catalog::{
        batch::BATCH_ROWS,
        csv::{CategoryCell, ImportFile, ImportProduct, ImportVariant, RowError},
        manage_categories::category_by_name,
        store::{self, CurrentProduct, CurrentVariant, ImportedColumns},
    },
    infra::db::Tx,
};

/// The result of comparing a file with the catalog.
#[derive(Debug, Default)]
pub struct ImportPlan {
    /// Ordered by line; includes the errors found while parsing the file.
    pub row_errors: Vec<RowError>,
    /// The indices of the products that differ from the catalog.
    pub(super) pending: Vec<usize>,
}

impl ImportPlan {
    /// Returns how many products differ from the catalog.
    pub fn pending_products(&self) -> usize {
        self.pending.len()
    }
}

/// What to do about a product.
pub(super) enum Step {
    Create(Creation),
    Update(Update),
    Skip,
}

/// A new product.
pub(super) struct Creation {
    pub(super) id: ProductId,
    pub(super) variants: PlannedVariants,
}

/// The new price and stock of an existing product.
pub(super) struct Update {
    pub(super) id: ProductId,
    pub(super) has_options: bool,
    pub(super) price: Price,
    pub(super) stock: i64,
    /// By how much the stock of its only variant changes.
    pub(super) delta: i64,
    pub(super) current_category: Option<CategoryId>,
    pub(super) variants: PlannedVariants,
}

/// Compares a file with the catalog without changing anything.
///
/// Errors: `already-imported` if the file's stock differences were imported before.
pub fn plan_import(tx: &mut Tx<'_>, file: &ImportFile) -> Result<ImportPlan> {
    duplicates::check(tx, file)?;
    let all: Vec<usize> = (0..file.products.len()).collect();
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

/// Returns whether a file has any column of variants.
fn has_variant_cells(file: &ImportFile) -> bool {
    file.products.iter().any(|product| {
        // All rows have the same columns of codes, but only some have options.
        product.first().cells.has_any() || product.variants.iter().any(ImportVariant::is_named)
    })
}

/// Returns a step for each of the products at these indices, and the errors of their rows. In a write transaction the
/// products are locked, so that the plan stays valid until it ends.
pub(super) fn plan_steps(
    tx: &mut Tx<'_>,
    file: &ImportFile,
    indices: &[usize],
    categories: &[Option<CategoryId>],
) -> Result<(Vec<Step>, Vec<RowError>)> {
    let mut steps: Vec<Option<Step>> = indices.iter().map(|_| None).collect();
    let mut row_errors = Vec::new();
    let with_id = |(at, index): (usize, &usize)| Some((file.products[*index].id?, at));
    let mut with_ids: Vec<(ProductId, usize)> =
        indices.iter().enumerate().filter_map(with_id).collect();
    let (rng, now) = (tx.rng(), tx.now());
    let reads_variants = has_variant_cells(file);
    // Products are always locked in id order.
    with_ids.sort_unstable();
    for batch in with_ids.chunks(BATCH_ROWS) {
        let ids: Vec<ProductId> = batch.iter().map(|(id, _)| *id).collect();
        let variants = if reads_variants {
            store::lock_products(tx, &ids, |_| Ok(()))?;
            store::current_variants(tx, &ids)?
        } else {
            HashMap::new()
        };
        store::lock_products(tx, &ids, |current| {
            let found = batch.binary_search_by_key(&current.id, |(id, _)| *id);
            let at = found.map_err(|_| Error::internal("a product that was not requested"))?;
            let at = batch[at].1;
            let product = &file.products[indices[at]];
            let variants = variants.get(&current.id).map_or(&[][..], Vec::as_slice);
            let step = product.step(&current, variants, categories, || rng.uuid(now))?;
            steps[at] = Some(step.unwrap_or_else(|errors| {
                row_errors.extend(errors);
                Step::Skip
            }));
            Ok(())
        })?;
    }
    let planned = steps.into_iter().zip(indices).map(|(step, index)| {
        if let Some(step) = step {
            return Ok(step);
        }
        let created = file.products[*index].created(|| rng.uuid(now))?;
        Ok(created.map_or_else(
            |errors| {
                row_errors.extend(errors);
                Step::Skip
            },
            Step::Create,
        ))
    });
    let steps: Vec<Step> = planned.collect::<Result<_>>()?;
    row_errors.extend(skus::check(tx, &steps)?);
    row_errors.extend(ids::check(tx, file, indices, &steps)?);
    row_errors.sort_unstable();
    Ok((steps, row_errors))
}

impl Step {
    /// Returns the variants that are created or changed.
    pub(super) fn changed_variants(&self) -> &[PlannedVariant] {
        match self {
            Step::Create(created) => &created.variants.changed,
            Step::Update(update) => &update.variants.changed,
            Step::Skip => &[],
        }
    }
}

impl ImportProduct {
    /// Returns what the rows change about a product, or why they cannot be applied.
    fn step(
        &self,
        current: &CurrentProduct<'_>,
        variants: &[CurrentVariant],
        categories: &[Option<CategoryId>],
        new_id: impl FnMut() -> Uuid,
    ) -> Result<Result<Step, Vec<RowError>>> {
        let row = self.first();
        let refuse = |why: &str| Ok(Err(vec![row.row_error(why.to_owned())]));
        if current.is_deleted {
            return refuse(
                "the product with this `id` was deleted; leave `id` empty to create a new one",
            );
        }
        let mut update = Update {
            id: current.id,
            has_options: current.has_options(),
            price: current.price,
            stock: current.stock,
            delta: 0,
            current_category: current.category,
            variants: PlannedVariants::default(),
        };
        if self.has_options() || (current.has_options() && row.is_named()) {
            let current = Some((current, variants));
            match PlannedVariants::with_options(self, current, new_id)? {
                Ok(planned) => update.variants = planned,
                Err(errors) => return Ok(Err(errors)),
            }
            let changed = update.variants.changed.iter();
            update.stock += changed.map(|variant| variant.delta).sum::<i64>();
            update.has_options = true;
        } else if current.has_options() {
            if let Err(why) = self.check_unchanged(current) {
                return refuse(&why);
            }
        } else if let Err(error) = self.plan_only_variant(current, variants, &mut update) {
            return Ok(Err(vec![error]));
        }
        let is_same = update.variants.is_empty()
            && update.delta == 0
            && update.price == current.price
            && self.has_same_columns(current, categories);
        Ok(Ok(if is_same {
            Step::Skip
        } else {
            Step::Update(update)
        }))
    }

    /// Plans price, stock and codes of a product without options.
    fn plan_only_variant(
        &self,
        current: &CurrentProduct<'_>,
        variants: &[CurrentVariant],
        update: &mut Update,
    ) -> Result<(), RowError> {
        let row = self.first();
        let variant = variants.first();
        if row.cells.has_any() && variant.is_none() {
            let why = "the product has no variant; run `shop verify --repair`";
            return Err(row.row_error(why.to_owned()));
        }
        let only = current.id.default_variant();
        let is_other = |row: &&ImportVariant| row.id.is_some_and(|id| id != only);
        if let Some(other) = self.variants.iter().find(is_other) {
            let why = "`variantId` is not that of the product's variant; a new one needs options";
            return Err(other.row_error(why.to_owned()));
        }
        let delta = row.stock.delta(current.stock);
        update.delta = delta.map_err(|why| row.row_error(why))?;
        update.stock += update.delta;
        update.price = row.price.unwrap_or(current.price);
        if let Some(variant) = variant {
            update.variants = PlannedVariants::without_options(row, only, Some(variant))?;
        }
        Ok(())
    }

    /// Errors: a row that names no variant changes price, stock or codes of a product with options.
    fn check_unchanged(&self, current: &CurrentProduct<'_>) -> Result<(), String> {
        let row = self.first();
        let has_codes = row.cells.changes(&ImportedColumns::default())?;
        let delta = row.stock.delta(current.stock)?;
        if has_codes || delta != 0 || row.price.is_some_and(|to| to != current.price) {
            let why = "the product has options; rows that change price, stock or codes need `variantId`, or options";
            return Err(why.to_owned());
        }
        Ok(())
    }

    fn has_same_columns(
        &self,
        current: &CurrentProduct<'_>,
        categories: &[Option<CategoryId>],
    ) -> bool {
        let name = self.name.as_ref();
        let description = self.description.as_ref();
        name.is_none_or(|name| name.text.as_str() == current.name)
            && description.is_none_or(|text| text.as_str() == current.description)
            && match self.category {
                CategoryCell::Absent => true,
                CategoryCell::Empty => current.category.is_none(),
                CategoryCell::Named(at) => {
                    categories[at].is_some() && categories[at] == current.category
                }
            }
    }

    /// Returns a new product, or why it cannot be created.
    fn created(&self, mut new_id: impl FnMut() -> Uuid) -> Result<Result<Creation, Vec<RowError>>> {
        let row = self.first();
        let refuse = |why: String| Ok(Err(vec![row.row_error(why)]));
        if self.name.is_none() || row.price.is_none() {
            let why = "there is no product with this `id`; a new one needs `name` and `price`";
            return refuse(why.to_owned());
        }
        let id = self.id.unwrap_or_else(|| ProductId(new_id()));
        if self.has_options() {
            let planned = PlannedVariants::with_options(self, None, new_id)?;
            return Ok(planned.map(|variants| Creation { id, variants }));
        }
        if let Err(why) = row.stock.checked_initial() {
            return refuse(why);
        }
        let only = id.default_variant();
        let is_other = |row: &&ImportVariant| row.id.is_some_and(|id| id != only);
        if let Some(other) = self.variants.iter().find(is_other) {
            let why = "`variantId` must be the same as `id` for a product without options";
            return Ok(Err(vec![other.row_error(why.to_owned())]));
        }
        let planned = PlannedVariants::without_options(row, only, None);
        let created = planned.map(|variants| Creation { id, variants });
        Ok(created.map_err(|error| vec![error]))
    }
}
