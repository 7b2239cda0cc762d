//! The catalog's own rules, held against its rows. The stock of a product is what sells: a repair makes
//! the movements say so, and must never move the stock itself.

use std::collections::{HashMap, hash_map::Entry};

use super::{Cause, Movement, fold, product::show_images, store};
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings, Mendable},
        id::{CategoryId, ProductId},
    },
    domain::media,
    infra::db::Tx,
};

const MOVEMENTS: &str = "stock-movements";
const COUNT: &str = "product-count";
const CATEGORY_COUNT: &str = "category-count";

/// Tells what breaks a rule.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let unbalanced = store::unbalanced(tx)?.into_iter();
    let unbalanced = unbalanced.map(|(id, stock, moved)| {
        let says = format!("the stock is {stock}, its movements sum to {moved}");
        Finding::about(format!("product {id}"), says).mendable(Mendable::Row(id.0))
    });
    findings.enter(MOVEMENTS, unbalanced);

    let impossible = store::impossible_stock(tx)?.into_iter();
    let impossible = impossible.map(|(id, stock)| {
        let remedy = "count the pieces and set it with `shop admin product stock`";
        let says = format!("the stock is {stock}, which cannot be; {remedy}");
        Finding::about(format!("product {id}"), says)
    });
    findings.enter("stock-bounds", impossible);

    let (kept, counted) = (store::kept_count(tx)?, store::counted(tx)?);
    let wrong = (kept != counted).then(|| {
        let says = format!("the kept count is {kept}, there are {counted} products");
        Finding::about("kept count `products`".to_owned(), says).mendable(Mendable::Only)
    });
    findings.enter(COUNT, wrong);

    let miscounted = store::miscounted(tx)?.into_iter();
    let miscounted = miscounted.map(|(id, kept, counted)| {
        let says = format!("the kept count is {kept}, there are {counted} products in it");
        Finding::about(format!("category {id}"), says).mendable(Mendable::Row(id.0))
    });
    findings.enter(CATEGORY_COUNT, miscounted);

    findings.enter("category-name", equal_categories(tx)?);
    Ok(())
}

/// Categories whose name is equal to that of an older one, as an older version let them be made.
fn equal_categories(tx: &mut Tx<'_>) -> Result<Vec<Finding>> {
    let mut first: HashMap<String, (CategoryId, String)> = HashMap::new();
    let mut equal = Vec::new();
    for (id, name, _) in store::category_keys(tx)? {
        match first.entry(fold(&name)) {
            Entry::Vacant(free) => {
                free.insert((id, name));
            }
            Entry::Occupied(taken) => {
                let (other, spelt) = taken.get();
                let says = format!(
                    "its name `{name}` is equal to `{spelt}` of category {other}; rename one of them, or \
                     move the products of one to the other and delete it"
                );
                equal.push(Finding::about(format!("category {id}"), says));
            }
        }
    }
    Ok(equal)
}

/// Mends what the rows themselves tell the right content of, as it is by now.
pub fn repair(tx: &mut Tx<'_>, found: &mut [Finding]) -> Result<()> {
    balance(tx, &rows_to_mend(found, MOVEMENTS))?;
    for id in rows_to_mend(found, CATEGORY_COUNT) {
        store::recount_category(tx, CategoryId(id.0))?;
    }
    for id in rows_to_mend(found, media::COPY) {
        store::hold(tx, id)?;
        show_images(tx, id)?;
    }
    for finding in found {
        if finding.check == COUNT {
            store::recount(tx)?;
        }
        finding.repaired |=
            [MOVEMENTS, COUNT, CATEGORY_COUNT, media::COPY].contains(&finding.check);
    }
    Ok(())
}

fn rows_to_mend(found: &[Finding], check: &str) -> Vec<ProductId> {
    let rows = found
        .iter()
        .filter_map(|finding| finding.row_to_mend(check));
    rows.map(ProductId).collect()
}

/// Writes a movement for what a product's stock has more or less than its movements say.
fn balance(tx: &mut Tx<'_>, products: &[ProductId]) -> Result<()> {
    if products.is_empty() {
        return Ok(());
    }
    // Nobody moves them from here on.
    let mut differences = Vec::with_capacity(products.len());
    store::known(tx, products, |known| {
        differences.push((known.id, known.stock));
        Ok(())
    })?;
    let moved: HashMap<_, _> = store::moved(tx, products)?.into_iter().collect();
    for (id, difference) in &mut differences {
        *difference -= moved.get(id).copied().unwrap_or_default();
    }
    differences.retain(|(_, difference)| *difference != 0);
    let movements: Vec<_> = differences
        .iter()
        .map(|(id, difference)| Movement::of(Cause::Repair, *id, *difference))
        .collect();
    if movements.is_empty() {
        return Ok(());
    }
    store::insert_movements(tx, &movements)
}
