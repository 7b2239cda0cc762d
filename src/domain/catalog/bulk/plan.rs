//! What an import has to do: the sheet's lines compared with the catalog.

use super::ROWS;
use crate::{
    core::{
        error::{Error, Result},
        id::{CategoryId, ProductId},
        money::{Price, Stock},
    },
    domain::catalog::{
        category_by_name, repeats,
        sheet::{CategoryCell, Entry, Fault, Sheet, StockCell},
        store::{self, Known},
    },
    infra::db::Tx,
};

/// What comparing a sheet with the catalog found.
#[derive(Debug, Default)]
pub struct Survey {
    /// In the order of lines, those of the file itself among them.
    pub faults: Vec<Fault>,
    /// The indices of the entries that differ from the catalog.
    pub(super) todo: Vec<usize>,
}

impl Survey {
    /// Returns how many lines differ from the catalog.
    pub fn left_to_do(&self) -> usize {
        self.todo.len()
    }
}

/// What is to be done about an entry.
pub(super) enum Step {
    Create,
    Update(Update),
    Leave,
}

/// What a known product becomes, its texts aside.
pub(super) struct Update {
    pub(super) id: ProductId,
    pub(super) price: Price,
    pub(super) stock: i64,
    pub(super) delta: i64,
    /// The category so far.
    pub(super) from: Option<CategoryId>,
}

/// Compares a sheet with the catalog; changes nothing.
///
/// Errors if the sheet's differences of stock were imported before.
pub fn survey(tx: &mut Tx<'_>, sheet: &Sheet) -> Result<Survey> {
    repeats::refuse(tx, sheet)?;
    let all: Vec<usize> = (0..sheet.entries.len()).collect();
    let categories = categories(tx, sheet)?;
    let (steps, mut faults) = plan(tx, sheet, &all, &categories)?;
    faults.extend_from_slice(sheet.faults());
    faults.sort_unstable();
    let todo = all.into_iter().zip(steps);
    Ok(Survey {
        faults,
        todo: todo
            .filter(|(_, step)| !matches!(step, Step::Leave))
            .map(|(place, _)| place)
            .collect(),
    })
}

/// Returns the catalog's own of the sheet's categories, as far as there are.
pub(super) fn categories(tx: &mut Tx<'_>, sheet: &Sheet) -> Result<Vec<Option<CategoryId>>> {
    let find = |name| Ok(category_by_name(tx, name)?.map(|category| category.id));
    sheet.categories.iter().map(find).collect()
}

/// Returns what is to be done about the entries at these indices, and what speaks against it. In a
/// transaction that writes, the products are locked, so that both hold until its end.
pub(super) fn plan(
    tx: &mut Tx<'_>,
    sheet: &Sheet,
    places: &[usize],
    categories: &[Option<CategoryId>],
) -> Result<(Vec<Step>, Vec<Fault>)> {
    let mut steps: Vec<Step> = places.iter().map(|_| Step::Create).collect();
    let mut faults = Vec::new();
    let named = |(at, place): (usize, &usize)| Some((sheet.entries[*place].id?, at));
    let mut named: Vec<(ProductId, usize)> = places.iter().enumerate().filter_map(named).collect();
    // In the order of ids, as everybody waits for products.
    named.sort_unstable();
    for part in named.chunks(ROWS) {
        let ids: Vec<ProductId> = part.iter().map(|(id, _)| *id).collect();
        store::known(tx, &ids, |known| {
            let found = part.binary_search_by_key(&known.id, |(id, _)| *id);
            let at = found.map_err(|_| Error::internal("a product that was not asked for"))?;
            let at = part[at].1;
            let entry = &sheet.entries[places[at]];
            match entry.step(&known, categories) {
                Ok(step) => steps[at] = step,
                Err(why) => {
                    faults.push(entry.fault(why));
                    steps[at] = Step::Leave;
                }
            }
            Ok(())
        })?;
    }
    for (step, place) in steps.iter().zip(places) {
        let entry = &sheet.entries[*place];
        if let (Step::Create, Err(why)) = (step, entry.check_new()) {
            faults.push(entry.fault(why));
        }
    }
    faults.sort_unstable();
    Ok((steps, faults))
}

impl Entry {
    /// Returns what the line changes of a product, or why it cannot.
    fn step(&self, known: &Known<'_>, categories: &[Option<CategoryId>]) -> Result<Step, String> {
        if known.is_deleted {
            let why =
                "`id` is that of a product that was deleted; leave it empty to make a new one";
            return Err(why.to_owned());
        }
        let delta = match self.stock {
            StockCell::Set { to } => to - known.stock,
            StockCell::Moved { from, to } => to - from,
            StockCell::Empty | StockCell::Unknown { .. } => 0,
        };
        let stock = known.stock + delta;
        // What orders put back may have brought the stock past its most; only what adds to it is refused.
        if delta < 0 && stock < 0 {
            return Err(format!(
                "`stockQuantity` takes {} from a stock of {}; count again, or export again",
                -delta, known.stock
            ));
        }
        if delta > 0 && stock > Stock::MOST {
            return Err(format!(
                "`stockQuantity` adds {delta} to a stock of {}; the most is {}",
                known.stock,
                Stock::MOST
            ));
        }
        let same_name = self
            .name
            .as_ref()
            .is_none_or(|name| name.text.as_str() == known.name);
        let description = self.description.as_ref();
        let same_description = description.is_none_or(|text| text.as_str() == known.description);
        let same_category = match self.category {
            CategoryCell::Absent => true,
            CategoryCell::Empty => known.category.is_none(),
            CategoryCell::Named(at) => categories[at].is_some() && categories[at] == known.category,
        };
        let price = self.price.unwrap_or(known.price);
        let same_numbers = delta == 0 && price == known.price;
        if same_name && same_description && same_category && same_numbers {
            return Ok(Step::Leave);
        }
        Ok(Step::Update(Update {
            id: known.id,
            price,
            stock,
            delta,
            from: known.category,
        }))
    }

    /// Errors if the line cannot make a product, which a known id would not need.
    fn check_new(&self) -> Result<(), String> {
        if self.name.is_none() || self.price.is_none() {
            let why = "there is no product with this `id`; a new one needs `name` and `price`";
            return Err(why.to_owned());
        }
        if self.stock.initial() > Stock::MOST {
            return Err(format!(
                "`stockQuantity` must be a whole number from 0 to {}",
                Stock::MOST
            ));
        }
        Ok(())
    }

    fn fault(&self, why: String) -> Fault {
        let line = self.line;
        Fault { line, why }
    }
}
