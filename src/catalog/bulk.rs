//! Many products at once: a whole sheet taken over or given out, and products by the thousand.
//!
//! A sheet is looked at first, in a read: what is wrong with any line is told, and what is there already
//! as it says is left alone. What is left to do is one transaction of statements for many rows each, which
//! looks again, since others go on writing meanwhile.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{
    Cause, Movement, NewProduct, add_category, category_by_name,
    fold::{fold, slug},
    sheet::{Entry, Fault, Listed, Sheet},
    store::{self, Columns, Known, Written},
};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Kind, Result},
    event::StockChange,
    id::{CategoryId, ProductId},
    media,
    money::Stock,
    web::App,
};

/// How many rows one statement reads or writes.
pub(super) const ROWS: usize = 500;

/// A sheet that writes one in so many products of the catalog, or more, writes much of its index.
const MUCH: usize = 20;

/// What taking a sheet over came to.
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
}

/// What a look at the catalog says of a sheet.
#[derive(Debug, Default)]
pub struct Survey {
    /// In the order of lines, those of the file itself among them.
    pub faults: Vec<Fault>,
    /// The places of the entries that are not there as they say.
    todo: Vec<usize>,
}

impl Survey {
    /// How many lines are not there as they say.
    pub fn left_to_do(&self) -> usize {
        self.todo.len()
    }
}

/// What is to be done about an entry.
enum Step {
    Create,
    Update {
        delta: i64,
        from: Option<CategoryId>,
    },
    Leave,
}

/// Compares a sheet with the catalog; changes nothing.
pub fn survey(tx: &mut Tx<'_>, sheet: &Sheet) -> Result<Survey> {
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

/// Does what `survey` found to be left to do, or tells what speaks against it by now and has written
/// nothing. `done` is told how many products are written.
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
    let mut imported = Imported {
        unchanged: sheet.entries.len() - survey.todo.len(),
        ..Imported::default()
    };
    for (name, known) in sheet.categories.iter().zip(&mut categories) {
        if known.is_none() {
            *known = match add_category(tx, name) {
                Ok(made) => {
                    imported.categories += 1;
                    Some(made.id)
                }
                // Somebody made it just now.
                Err(error) if matches!(error.kind(), Kind::Conflict(_)) => {
                    let found = category_by_name(tx, name)?.ok_or(error)?;
                    Some(found.id)
                }
                Err(error) => return Err(error),
            };
        }
    }
    let mut changes = Changes::default();
    let (mut fresh, mut renewed) = (Vec::new(), Vec::new());
    for (place, step) in survey.todo.iter().zip(steps) {
        let entry = &sheet.entries[*place];
        let category = entry.category.and_then(|at| categories[at]);
        let id = entry.id.unwrap_or_else(|| tx.id());
        match step {
            Step::Leave => imported.unchanged += 1,
            Step::Create => {
                imported.created += 1;
                imported.without_images += usize::from(entry.names_images);
                changes.created(Cause::Import, id, entry.stock, category);
                fresh.push(entry.written(id, tx.now(), category));
            }
            Step::Update { delta, from } => {
                imported.updated += 1;
                changes.updated(id, entry.stock, delta, (from, category));
                renewed.push(entry.written(id, tx.now(), category));
            }
        }
    }
    let mut written = 0;
    for (rows, write) in [
        (
            fresh,
            store::insert_all as fn(&mut Tx<'_>, &[Written<'_>]) -> Result<()>,
        ),
        (renewed, store::update_all),
    ] {
        for rows in rows.chunks(ROWS) {
            write(tx, rows)?;
            written += rows.len();
            done(written);
        }
    }
    changes.write(tx)?;
    if i64::try_from(written * MUCH).map_err(Error::internal)? >= store::kept_count(tx)? {
        store::search::merge(tx)?;
    }
    Ok(Ok(imported))
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
            let id = ProductId(tx.chance().uuid(at));
            ids.push(id);
            changes.created(Cause::Create, id, product.stock, product.category);
            rows.push(Written {
                id,
                at,
                stock: product.stock,
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

/// The catalog's own of the sheet's categories, as far as there are.
fn categories(tx: &mut Tx<'_>, sheet: &Sheet) -> Result<Vec<Option<CategoryId>>> {
    let find = |name| Ok(category_by_name(tx, name)?.map(|category| category.id));
    sheet.categories.iter().map(find).collect()
}

/// What is to be done about the entries at these places, and what speaks against it. In a transaction
/// that writes, it holds until the end.
fn plan(
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
            if known.is_deleted {
                faults.push(Fault {
                    line: entry.line,
                    why: "`id` is that of a product that was deleted; leave it empty to make a new one"
                        .to_owned(),
                });
            }
            let is_same_category = match entry.category {
                None => known.category.is_none(),
                Some(at) => categories[at].is_some() && categories[at] == known.category,
            };
            steps[at] = if is_same_category && entry.says(&known) {
                Step::Leave
            } else {
                Step::Update {
                    delta: entry.stock.get() - known.stock,
                    from: known.category,
                }
            };
            Ok(())
        })?;
    }
    faults.sort_unstable();
    Ok((steps, faults))
}

impl Entry {
    /// Whether the catalog says the same, the category aside.
    fn says(&self, known: &Known<'_>) -> bool {
        self.name.as_str() == known.name
            && self.description.as_str() == known.description
            && self.price.get() == known.price
            && self.stock.get() == known.stock
    }

    fn written(&self, id: ProductId, at: Timestamp, category: Option<CategoryId>) -> Written<'_> {
        Written {
            id,
            at,
            stock: self.stock,
            columns: Columns {
                name: self.name.as_str(),
                name_key: &self.name_key,
                slug: &self.slug,
                description: self.description.as_str(),
                price: self.price,
                category,
            },
        }
    }
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
    fn created(&mut self, cause: Cause, id: ProductId, stock: Stock, to: Option<CategoryId>) {
        self.products += 1;
        self.count(to, 1);
        self.moved(Movement::of(cause, id, stock.get()), stock);
    }

    fn updated(
        &mut self,
        id: ProductId,
        stock: Stock,
        delta: i64,
        (from, to): (Option<CategoryId>, Option<CategoryId>),
    ) {
        self.count(from, -1);
        self.count(to, 1);
        if delta != 0 {
            self.moved(Movement::of(Cause::Import, id, delta), stock);
        }
    }

    fn moved(&mut self, movement: Movement<'static>, stock: Stock) {
        self.movements.push(movement);
        self.stock
            .push(StockChange::now(movement.product, stock.get()));
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
