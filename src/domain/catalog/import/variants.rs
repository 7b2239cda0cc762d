//! Plans what an import does about the variants of a product.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::{
    core::{
        error::Result,
        id::VariantId,
        money::{Price, Stock},
    },
    domain::catalog::{
        csv::{ImportProduct, ImportVariant, RowError, StockCell},
        options::{ProductOptions, SelectedValues, Selection},
        store::{CurrentProduct, CurrentVariant, ImportedColumns},
        variant::{MAX_VARIANTS, VariantPosition},
    },
};

/// What an import does about the variants of a product.
#[derive(Default)]
pub(super) struct PlannedVariants {
    /// The options of the product after the import, unless they stay.
    pub(super) options: Option<ProductOptions>,
    /// Those that are created or changed.
    pub(super) changed: Vec<PlannedVariant>,
}

/// A variant after the import.
pub(super) struct PlannedVariant {
    pub(super) line: u64,
    pub(super) after: CurrentVariant,
    pub(super) is_new: bool,
    /// Whether the file has its id.
    pub(super) has_own_id: bool,
    /// By how much its own stock changes; the stock of the only variant is the product's.
    pub(super) delta: i64,
    pub(super) stock: StockCell,
}

impl PlannedVariant {
    pub(super) fn has_options(&self) -> bool {
        !self.after.options_key.is_empty()
    }
}

impl PlannedVariants {
    pub(super) fn is_empty(&self) -> bool {
        self.options.is_none() && self.changed.is_empty()
    }

    /// Plans the only variant of a product without options. `current` is `None` for a new product.
    ///
    /// Errors: a spreadsheet has damaged a code.
    pub(super) fn without_options(
        row: &ImportVariant,
        id: VariantId,
        current: Option<&CurrentVariant>,
    ) -> Result<PlannedVariants, RowError> {
        let before = current.map(|it| it.columns.clone()).unwrap_or_default();
        let is_changed = row.cells.changes(&before);
        if !is_changed.map_err(|why| row.row_error(why))? {
            return Ok(PlannedVariants::default());
        }
        let after = CurrentVariant {
            id,
            columns: row.cells.applied_to(before),
            options_key: String::new(),
            options: "[]".to_owned(),
            price: None,
            stock: None,
            position: current.map_or(VariantPosition::FIRST, |it| it.position),
        };
        let changed = PlannedVariant {
            line: row.line,
            after,
            is_new: current.is_none(),
            has_own_id: false,
            delta: 0,
            stock: row.stock,
        };
        Ok(PlannedVariants {
            options: None,
            changed: vec![changed],
        })
    }

    /// Plans the variants of a product with options, or of one that gets options.
    pub(super) fn with_options(
        product: &ImportProduct,
        current: Option<(&CurrentProduct<'_>, &[CurrentVariant])>,
        mut new_id: impl FnMut() -> Uuid,
    ) -> Result<Result<PlannedVariants, Vec<RowError>>> {
        let (options, variants) = match current {
            Some((product, variants)) => (ProductOptions::from_json(product.options)?, variants),
            None => (ProductOptions::default(), &[][..]),
        };
        let mut errors = Vec::new();
        let mut after = options.clone();
        for row in product
            .variants
            .iter()
            .filter(|row| !row.options.is_empty())
        {
            let pairs = row
                .options
                .iter()
                .map(|it| (it.name.as_str(), it.value.as_str()));
            let added = after.add_missing(pairs, &mut new_id);
            errors.extend(added.err().map(|why| row.row_error(why)));
        }
        if !errors.is_empty() {
            return Ok(Err(errors));
        }
        let mut rows = Rows {
            options: &after,
            current: current.map(|(product, _)| product),
            variants,
            named: product.variants.iter().filter_map(|row| row.id).collect(),
            last: variants.iter().map(|it| it.position).max(),
            lines: HashMap::new(),
        };
        let mut changed = Vec::new();
        for row in &product.variants {
            match rows.plan(row, &mut new_id)? {
                Ok(planned) => changed.extend(planned),
                Err(why) => errors.push(row.row_error(why)),
            }
        }
        errors.extend(rows.check(product, &changed));
        if !errors.is_empty() {
            return Ok(Err(errors));
        }
        let options = (after != options).then_some(after);
        Ok(Ok(PlannedVariants { options, changed }))
    }
}

/// The rows of a product with options, while they are planned.
struct Rows<'a> {
    options: &'a ProductOptions,
    current: Option<&'a CurrentProduct<'a>>,
    variants: &'a [CurrentVariant],
    /// The variants that rows name by their ids.
    named: HashSet<VariantId>,
    /// The position of the last variant.
    last: Option<VariantPosition>,
    /// The line of each variant, by the key of its options.
    lines: HashMap<String, u64>,
}

impl<'a> Rows<'a> {
    /// Plans the variant of a row. Returns `None` if nothing changes, or why the row cannot be applied.
    fn plan(
        &mut self,
        row: &ImportVariant,
        new_id: impl FnOnce() -> Uuid,
    ) -> Result<Result<Option<PlannedVariant>, String>> {
        let selected = if row.options.is_empty() {
            None
        } else {
            match self.selected(row) {
                Ok(selected) => Some(selected),
                Err(why) => return Ok(Err(why)),
            }
        };
        let key = selected.as_ref().map(SelectedValues::key);
        let found = self.variants.iter().find(|variant| match row.id {
            Some(id) => variant.id == id,
            // Another row may give a variant other options.
            None => Some(&variant.options_key) == key.as_ref() && !self.named.contains(&variant.id),
        });
        let (key, options) = match (selected, key, found) {
            (Some(selected), Some(key), _) => (key, selected.to_options().to_json()?),
            (_, _, Some(found)) if found.options_key.is_empty() => {
                let why = "the product gets options; this row needs them, too";
                return Ok(Err(why.to_owned()));
            }
            (_, _, Some(found)) => (found.options_key.clone(), found.options.clone()),
            _ => {
                let why =
                    "`variantId` is not that of a variant of the product; a new one needs options";
                return Ok(Err(why.to_owned()));
            }
        };
        let first = *self.lines.entry(key.clone()).or_insert(row.line);
        if first != row.line {
            return Ok(Err(format!("the same variant is in line {first} already")));
        }
        if let Some(found) = found {
            return Ok(self.changed(row, found, key, options));
        }
        let id = row.id.unwrap_or_else(|| VariantId(new_id()));
        Ok(self.created(row, id, key, options).map(Some))
    }

    fn selected(&self, row: &ImportVariant) -> Result<SelectedValues<'a>, String> {
        let pairs = row.options.iter();
        let selection: Selection = pairs
            .map(|it| (it.name.as_str().to_owned(), it.value.as_str().to_owned()))
            .collect();
        self.options
            .select(&selection, "options")
            .map_err(|fields| {
                let wrong = fields
                    .iter()
                    .map(|field| format!("`{}` {}", field.field, field.message));
                wrong.collect::<Vec<_>>().join("; ")
            })
    }

    fn changed(
        &self,
        row: &ImportVariant,
        found: &CurrentVariant,
        options_key: String,
        options: String,
    ) -> Result<Option<PlannedVariant>, String> {
        // A product that gets options gives its price and stock to its variant.
        let price = found.price.or(self.current.map(|product| product.price));
        let stock = found.stock.or(self.current.map(|product| product.stock));
        let (before, stock_before) = (found.columns.clone(), stock.unwrap_or_default());
        let delta = row.stock.delta(stock_before)?;
        let is_changed = row.cells.changes(&before)?
            || row.price.is_some_and(|new| Some(new) != price)
            || delta != 0
            || options_key != found.options_key;
        if !is_changed {
            return Ok(None);
        }
        Ok(Some(PlannedVariant {
            line: row.line,
            after: CurrentVariant {
                id: found.id,
                columns: row.cells.applied_to(before),
                options_key,
                options,
                price: row.price.or(price),
                stock: Some(stock_before + delta),
                position: found.position,
            },
            is_new: false,
            has_own_id: false,
            delta,
            stock: row.stock,
        }))
    }

    fn created(
        &mut self,
        row: &ImportVariant,
        id: VariantId,
        options_key: String,
        options: String,
    ) -> Result<PlannedVariant, String> {
        let price: Price = row.price.ok_or("a new variant needs `price`")?;
        let stock = row.stock.checked_initial()?;
        row.cells.changes(&ImportedColumns::default())?;
        let position = match self.last {
            None => VariantPosition::FIRST,
            Some(last) => VariantPosition::try_from(last.get() + 1).unwrap_or(last),
        };
        self.last = Some(position);
        Ok(PlannedVariant {
            line: row.line,
            after: CurrentVariant {
                id,
                columns: row.cells.applied_to(ImportedColumns::default()),
                options_key,
                options,
                price: Some(price),
                stock: Some(stock),
                position,
            },
            is_new: true,
            has_own_id: row.id.is_some(),
            delta: stock,
            stock: row.stock,
        })
    }

    /// Returns what is wrong with all rows together.
    fn check(&self, product: &ImportProduct, changed: &[PlannedVariant]) -> Option<RowError> {
        let row_error = |line, why: String| Some(RowError { line, why });
        let without_options = |variant: &&CurrentVariant| variant.options_key.is_empty();
        if let Some(only) = self.variants.iter().find(without_options)
            && !self.named.contains(&only.id)
        {
            let why = format!(
                "the product has one variant and no options yet; one of its rows needs its `variantId`, which is {}",
                only.id
            );
            return row_error(product.line, why);
        }
        let new = changed.iter().filter(|it| it.is_new).count();
        if self.variants.len() + new > MAX_VARIANTS {
            return row_error(
                product.line,
                format!("a product has at most {MAX_VARIANTS} variants"),
            );
        }
        let is_changed = |id| changed.iter().any(|it| it.after.id == id);
        changed.iter().find_map(|planned| {
            let has_same = |it: &&CurrentVariant| it.options_key == planned.after.options_key;
            let other = self
                .variants
                .iter()
                .filter(has_same)
                .find(|it| !is_changed(it.id))?;
            let why = format!("variant {} has the same options", other.id);
            row_error(planned.line, why)
        })
    }
}

impl StockCell {
    /// Returns by how much the row changes a stock, or why it cannot.
    pub(super) fn delta(self, current: i64) -> Result<i64, String> {
        let delta = match self {
            StockCell::Set { to } => to - current,
            StockCell::Moved { from, to } => to - from,
            StockCell::Empty | StockCell::NotExported { .. } => 0,
        };
        let stock = current + delta;
        // Stock returned by orders may already exceed the maximum; only an increase is rejected.
        if delta < 0 && stock < 0 {
            return Err(format!(
                "`stockQuantity` takes {} from a stock of {current}; count again, or export again",
                -delta
            ));
        }
        if delta > 0 && stock > Stock::MAX {
            return Err(format!(
                "`stockQuantity` adds {delta} to a stock of {current}; the maximum is {}",
                Stock::MAX
            ));
        }
        Ok(delta)
    }

    /// Returns the stock of a new variant, or why it cannot have it.
    pub(super) fn checked_initial(self) -> Result<i64, String> {
        let stock = self.initial();
        if stock > Stock::MAX {
            let max = Stock::MAX;
            return Err(format!(
                "`stockQuantity` must be a whole number from 0 to {max}"
            ));
        }
        Ok(stock)
    }
}
