//! Many products at once: a whole sheet imported or exported, and products by the thousand.
//!
//! A sheet is compared with the catalog first, in a read: what is wrong with any line is named, and lines that
//! change nothing are left alone. What is left to do is one transaction of statements for many rows each,
//! which compares again under locks, since others go on writing meanwhile.

mod plan;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::Serialize;

use self::plan::{Step, Update, categories, plan};
pub use self::plan::{Survey, survey};
use super::{
    Cause, Movement, NewProduct, add_category, category_by_name,
    fold::{fold, slug},
    repeats,
    sheet::{CategoryCell, Entry, Fault, Listed, Sheet, StockCell},
    store::{self, Columns, Written},
};
use crate::{
    app::App,
    core::{
        error::{Error, Kind, Result},
        event::StockChange,
        id::{CategoryId, ProductId},
    },
    domain::media,
    infra::db::Tx,
};

/// How many rows one statement reads or writes.
pub(super) const ROWS: usize = 500;

/// A sheet that writes one in so many products of the catalog, or more, writes much of its index.
const MUCH: usize = 20;

/// What an import changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
    /// Categories that were made.
    pub categories: usize,
    /// New products whose line names pictures: a sheet brings none.
    pub without_images: usize,
    /// Known products whose stock was set to another number, whatever was sold meanwhile.
    pub stock_set: usize,
    /// Lines of known products whose `stockQuantity` was not applied: they have no `stockAtExport`.
    pub stock_ignored: usize,
}

/// Does what `survey` found to be left to do, or returns what speaks against it by now and has written
/// nothing. `done` is called with the number of products written so far.
///
/// Errors if the sheet's differences of stock were imported before.
pub fn import(
    tx: &mut Tx<'_>,
    sheet: &Sheet,
    survey: &Survey,
    mut done: impl FnMut(usize),
) -> Result<Result<Imported, Vec<Fault>>> {
    let mut categories = categories(tx, sheet)?;
    let (steps, faults) = plan(tx, sheet, &survey.todo, &categories)?;
    if !faults.is_empty() {
        return Ok(Err(faults));
    }
    // Whoever imports the same sheet at the same time has waited for the products until here.
    repeats::record(tx, sheet)?;
    let mut imported = Imported {
        unchanged: sheet.entries.len() - survey.todo.len(),
        categories: add_missing(tx, sheet, &mut categories)?,
        ..Imported::default()
    };
    let is_ignored =
        |entry: &Entry| entry.id.is_some() && matches!(entry.stock, StockCell::Unknown { .. });
    imported.stock_ignored = sheet
        .entries
        .iter()
        .filter(|entry| is_ignored(entry))
        .count();
    let mut changes = Changes::default();
    let (mut new, mut updates) = (Vec::new(), Vec::new());
    for (place, step) in survey.todo.iter().zip(steps) {
        let entry = &sheet.entries[*place];
        match step {
            Step::Leave => imported.unchanged += 1,
            Step::Create => {
                imported.created += 1;
                imported.without_images += usize::from(entry.names_images);
                imported.stock_ignored -= usize::from(is_ignored(entry));
                let id = entry.id.unwrap_or_else(|| tx.id());
                let category = entry.category(None, &categories);
                changes.created(Cause::Import, id, entry.stock.initial(), category);
                new.push((entry, id));
            }
            Step::Update(update) => {
                imported.updated += 1;
                let is_set = matches!(entry.stock, StockCell::Set { .. }) && update.delta != 0;
                imported.stock_set += usize::from(is_set);
                changes.updated(&update, entry.category(update.from, &categories));
                updates.push((entry, update));
            }
        }
    }
    let mut written = 0;
    for part in new.chunks(ROWS) {
        insert(tx, part, &categories)?;
        written += part.len();
        done(written);
    }
    for part in updates.chunks(ROWS) {
        update(tx, part, &categories)?;
        written += part.len();
        done(written);
    }
    changes.write(tx)?;
    if i64::try_from(written * MUCH).map_err(Error::internal)? >= store::kept_count(tx)? {
        store::search::merge(tx)?;
    }
    Ok(Ok(imported))
}

/// Adds the sheet's categories that the catalog does not have; returns how many.
fn add_missing(
    tx: &mut Tx<'_>,
    sheet: &Sheet,
    categories: &mut [Option<CategoryId>],
) -> Result<usize> {
    let mut added = 0;
    for (name, known) in sheet.categories.iter().zip(categories) {
        if known.is_none() {
            *known = match add_category(tx, name) {
                Ok(made) => {
                    added += 1;
                    Some(made.id)
                }
                // Somebody made it just now, or the sheet spells it in two ways.
                Err(error) if matches!(error.kind(), Kind::Conflict(_)) => {
                    let found = category_by_name(tx, name)?.ok_or(error)?;
                    Some(found.id)
                }
                Err(error) => return Err(error),
            };
        }
    }
    Ok(added)
}

fn insert(
    tx: &mut Tx<'_>,
    new: &[(&Entry, ProductId)],
    categories: &[Option<CategoryId>],
) -> Result<()> {
    let missing = || Error::internal("a new product without a name or a price");
    let rows = new.iter().map(|(entry, id)| {
        let name = entry.name.as_ref().ok_or_else(missing)?;
        Ok(Written {
            id: *id,
            at: tx.now(),
            stock: entry.stock.initial(),
            columns: Columns {
                name: name.text.as_str(),
                name_key: &name.key,
                slug: &name.slug,
                description: entry.description.as_ref().map_or("", |text| text.as_str()),
                price: entry.price.ok_or_else(missing)?,
                category: entry.category(None, categories),
            },
        })
    });
    let rows: Vec<_> = rows.collect::<Result<_>>()?;
    store::insert_all(tx, &rows)
}

/// Writes whole rows. The texts that a line leaves as they are come from the row itself, which is locked.
fn update(
    tx: &mut Tx<'_>,
    updates: &[(&Entry, Update)],
    categories: &[Option<CategoryId>],
) -> Result<()> {
    let keeps_text = |entry: &Entry| entry.name.is_none() || entry.description.is_none();
    let ids = updates.iter().filter(|(entry, _)| keeps_text(entry));
    let ids: Vec<_> = ids.map(|(_, update)| update.id).collect();
    let mut kept = HashMap::new();
    if !ids.is_empty() {
        store::known(tx, &ids, |known| {
            let (name, description) = (known.name.to_owned(), known.description.to_owned());
            kept.insert(known.id, (fold(&name), slug(&name), name, description));
            Ok(())
        })?;
    }
    let missing = || Error::internal("a product that is locked and not there");
    let rows = updates.iter().map(|(entry, update)| {
        let kept = kept.get(&update.id);
        let (name, name_key, slug) = if let Some(name) = &entry.name {
            (name.text.as_str(), &name.key, &name.slug)
        } else {
            let (key, slug, name, _) = kept.ok_or_else(missing)?;
            (name.as_str(), key, slug)
        };
        let description = match &entry.description {
            Some(text) => text.as_str(),
            None => kept.map(|kept| kept.3.as_str()).ok_or_else(missing)?,
        };
        Ok(Written {
            id: update.id,
            at: tx.now(),
            stock: update.stock,
            columns: Columns {
                name,
                name_key,
                slug,
                description,
                price: update.price,
                category: entry.category(update.from, categories),
            },
        })
    });
    let rows: Vec<_> = rows.collect::<Result<_>>()?;
    store::update_all(tx, &rows)
}

impl Entry {
    /// Returns the category that the line gives to a product, whose category is `current`.
    fn category(
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

/// Puts many products into the catalog, without pictures, as if one had been made every second, the last
/// of them now; tells their ids.
pub fn create_all(tx: &mut Tx<'_>, new: &[NewProduct]) -> Result<Vec<ProductId>> {
    let mut changes = Changes::default();
    let mut ids = Vec::with_capacity(new.len());
    for part in new.chunks(ROWS) {
        let keys: Vec<_> = part
            .iter()
            .map(|new| (fold(new.name.as_str()), slug(new.name.as_str())))
            .collect();
        let mut rows = Vec::with_capacity(part.len());
        for (product, (name_key, slug)) in part.iter().zip(&keys) {
            let younger = (new.len() - ids.len() - 1) as u64;
            let at = tx.now().minus(Duration::from_secs(younger));
            let id = ProductId(tx.rng().uuid(at));
            ids.push(id);
            changes.created(Cause::Create, id, product.stock.get(), product.category);
            rows.push(Written {
                id,
                at,
                stock: product.stock.get(),
                columns: Columns {
                    name: product.name.as_str(),
                    name_key,
                    slug,
                    description: product.description.as_str(),
                    price: product.price,
                    category: product.category,
                },
            });
        }
        store::insert_all(tx, &rows)?;
    }
    changes.write(tx)?;
    Ok(ids)
}

/// Hands over every product of the catalog, by id, as one snapshot shows them; `begin` is told before
/// how many there are.
pub fn export(
    tx: &mut Tx<'_>,
    app: &App,
    begin: impl FnOnce(i64),
    mut each: impl FnMut(&Listed<'_>) -> Result<()>,
) -> Result<()> {
    begin(store::kept_count(tx)?);
    store::each_listed(tx, |mut product, images| {
        let images = media::shown(images, &app.public_url)?;
        let urls: Vec<_> = images.into_iter().map(|image| image.url).collect();
        product.images = urls.join(" ");
        each(&product)
    })
}

/// What else has to be written where products change.
#[derive(Default)]
struct Changes {
    movements: Vec<Movement<'static>>,
    stock: Vec<StockChange>,
    products: i64,
    categories: BTreeMap<CategoryId, i64>,
}

impl Changes {
    fn created(&mut self, cause: Cause, id: ProductId, stock: i64, to: Option<CategoryId>) {
        self.products += 1;
        self.count(to, 1);
        self.moved(Movement::of(cause, id, stock), stock);
    }

    fn updated(&mut self, update: &Update, to: Option<CategoryId>) {
        self.count(update.from, -1);
        self.count(to, 1);
        if update.delta != 0 {
            self.moved(
                Movement::of(Cause::Import, update.id, update.delta),
                update.stock,
            );
        }
    }

    fn moved(&mut self, movement: Movement<'static>, stock: i64) {
        self.movements.push(movement);
        self.stock.push(StockChange::now(movement.product, stock));
    }

    fn count(&mut self, category: Option<CategoryId>, by: i64) {
        if let Some(id) = category {
            *self.categories.entry(id).or_default() += by;
        }
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<()> {
        for movements in self.movements.chunks(ROWS) {
            store::insert_movements(tx, movements)?;
        }
        tx.emit_stock(&self.stock)?;
        // Counts last, since others wait for them; in the order in which everybody moves them.
        store::count_products(tx, self.products)?;
        for (category, by) in self.categories {
            if by != 0 {
                store::count_in(tx, Some(category), by)?;
            }
        }
        Ok(())
    }
}
