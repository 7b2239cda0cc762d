//! Checks the catalog's data for inconsistencies and repairs them. The stock of a product is authoritative: a
//! repair adds missing movements and never changes the stock.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use super::{
    get::product,
    manage_products::copy_images,
    normalize::{normalize, sku_key},
    search,
    stock::{Cause, Movement},
    store,
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
        finding::{Finding, Findings, MAX_FINDINGS, Repairable},
        id::{CategoryId, ProductId},
    },
    domain::media,
    infra::db::Tx,
};

const MOVEMENTS: &str = "stock-movements";
const COUNT: &str = "product-count";
const CATEGORY_COUNT: &str = "category-count";
const PRICE_COUNTS: &str = "price-counts";
const SOLD_OUT: &str = "sold-out";
const VARIANT_PRESENT: &str = "variant-present";

/// The checks that [`repair`] handles.
const REPAIRED: [&str; 7] = [
    MOVEMENTS,
    COUNT,
    CATEGORY_COUNT,
    PRICE_COUNTS,
    SOLD_OUT,
    VARIANT_PRESENT,
    media::PRODUCT_IMAGES_CHECK,
];

/// Runs all checks and adds what they find.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let unbalanced = store::unbalanced_stock(tx)?.into_iter();
    let unbalanced = unbalanced.map(|(id, stock, moved)| {
        let says = format!("the stock is {stock}, but its movements add up to {moved}");
        Finding::new(format!("product {id}"), says).repairable(Repairable::Row(id.0))
    });
    findings.record(MOVEMENTS, unbalanced);

    let impossible = store::impossible_stock(tx)?.into_iter();
    let impossible = impossible.map(|(id, stock)| {
        let remedy = "count the units and set it with `shop admin product stock`";
        let says = format!("the stock is {stock}, which is out of bounds; {remedy}");
        Finding::new(format!("product {id}"), says)
    });
    findings.record("stock-bounds", impossible);

    let (stored, counted) = (store::product_count(tx)?, store::counted_products(tx)?);
    let wrong = (stored != counted).then(|| {
        let says = format!("the stored count is {stored}, but there are {counted} products");
        Finding::new("counter `products`".to_owned(), says).repairable(Repairable::Only)
    });
    findings.record(COUNT, wrong);

    let miscounted = store::wrong_category_counts(tx)?.into_iter();
    let miscounted = miscounted.map(|(id, stored, counted)| {
        let says = format!("its stored count is {stored}, but it has {counted} products");
        Finding::new(format!("category {id}"), says).repairable(Repairable::Row(id.0))
    });
    findings.record(CATEGORY_COUNT, miscounted);

    let wrong = store::wrong_price_counts(tx)?;
    let wrong = (wrong > 0).then(|| {
        let says = format!("wrong or missing: {wrong}");
        Finding::new("counts by price".to_owned(), says).repairable(Repairable::Only)
    });
    findings.record(PRICE_COUNTS, wrong);

    let contradicted = store::wrong_sold_out(tx)?.into_iter();
    let contradicted = contradicted.map(|(id, stock)| {
        let says = format!("the stock is {stock}, but `sold_out` says otherwise");
        Finding::new(format!("product {id}"), says).repairable(Repairable::Row(id.0))
    });
    findings.record(SOLD_OUT, contradicted);

    let wrong = store::products_with_wrong_variants(tx)?.into_iter();
    let wrong = wrong.map(|(id, is_deleted)| {
        let says = if is_deleted {
            "it is deleted, but its variant is not"
        } else {
            "it has no variant"
        };
        Finding::new(format!("product {id}"), says.to_owned()).repairable(Repairable::Row(id.0))
    });
    findings.record(VARIANT_PRESENT, wrong);

    findings.record("sku-unique", wrong_sku_keys(tx)?);
    findings.record("category-name", equal_categories(tx)?);
    Ok(())
}

/// Returns the variants whose normalized SKU is not that of their SKU, so that another variant may have the same SKU.
/// The database guarantees that no two normalized SKUs are equal.
fn wrong_sku_keys(tx: &mut Tx<'_>) -> Result<Vec<Finding>> {
    let mut wrong = Vec::new();
    store::each_sku(tx, |id, sku, stored| {
        let key = sku_key(sku);
        if key != stored && wrong.len() <= MAX_FINDINGS {
            let remedy = "set it again with `shop admin product variant edit`";
            let says =
                format!("its SKU `{sku}` is normalized as `{stored}` instead of `{key}`; {remedy}");
            wrong.push(Finding::new(format!("variant {id}"), says));
        }
    })?;
    Ok(wrong)
}

/// Gives products a variant, and deletes those of deleted products.
fn correct_variants(tx: &mut Tx<'_>, products: &[ProductId]) -> Result<()> {
    if products.is_empty() {
        return Ok(());
    }
    let mut locked = Vec::with_capacity(products.len());
    store::lock_products(tx, products, |current| {
        locked.push((current.id, current.is_deleted));
        Ok(())
    })?;
    for (id, is_deleted) in locked {
        if is_deleted {
            store::delete_variants(tx, id)?;
        } else if store::variants_of(tx, id)?.is_empty() {
            store::restore_variant(tx, id)?;
            // A deleted variant may have been indexed with its SKU.
            let product = product(tx, id)?;
            search::index_product(tx, &product)?;
        }
    }
    Ok(())
}

/// Returns the categories whose name equals that of an older one, which older versions could create.
fn equal_categories(tx: &mut Tx<'_>) -> Result<Vec<Finding>> {
    let mut first: HashMap<String, (CategoryId, String)> = HashMap::new();
    let mut equal = Vec::new();
    for (id, name, _) in store::category_keys(tx)? {
        match first.entry(normalize(&name)) {
            Entry::Vacant(free) => {
                free.insert((id, name));
            }
            Entry::Occupied(taken) => {
                let (other, first_name) = taken.get();
                let says = format!(
                    "its name `{name}` equals `{first_name}` of category {other}; rename one of them, or \
                     move the products of one to the other and delete it"
                );
                equal.push(Finding::new(format!("category {id}"), says));
            }
        }
    }
    Ok(equal)
}

/// Repairs the findings whose correct value follows from other rows. Reads the current values first.
pub fn repair(tx: &mut Tx<'_>, found: &mut [Finding]) -> Result<()> {
    balance_movements(tx, &rows_to_repair(found, MOVEMENTS))?;
    for id in rows_to_repair(found, CATEGORY_COUNT) {
        store::recount_category(tx, CategoryId(id.0))?;
    }
    for id in rows_to_repair(found, media::PRODUCT_IMAGES_CHECK) {
        store::lock_product(tx, id)?;
        copy_images(tx, id)?;
    }
    for id in rows_to_repair(found, SOLD_OUT) {
        store::lock_product(tx, id)?;
        store::set_sold_out(tx, id)?;
    }
    correct_variants(tx, &rows_to_repair(found, VARIANT_PRESENT))?;
    let mut counts = BTreeMap::new();
    for finding in found {
        match finding.check {
            COUNT => store::recount_products(tx)?,
            PRICE_COUNTS => store::recount_by_price(tx)?,
            _ => {}
        }
        let is_repaired = REPAIRED.contains(&finding.check);
        if is_repaired {
            finding.repaired = true;
            *counts.entry(finding.check).or_insert(0) += 1;
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    tx.audit(Action::CatalogRepair, None, || {
        Changes::between(None, Some(&counts))
    })
}

fn rows_to_repair(found: &[Finding], check: &str) -> Vec<ProductId> {
    let rows = found
        .iter()
        .filter_map(|finding| finding.repairable_row(check));
    rows.map(ProductId).collect()
}

/// Records a movement for the difference between each product's stock and its movements.
fn balance_movements(tx: &mut Tx<'_>, products: &[ProductId]) -> Result<()> {
    if products.is_empty() {
        return Ok(());
    }
    // The locks keep the stock constant until the movements are written.
    let mut differences = Vec::with_capacity(products.len());
    store::lock_products(tx, products, |current| {
        differences.push((current.id, current.stock));
        Ok(())
    })?;
    let sums: HashMap<_, _> = store::movement_sums(tx, products)?.into_iter().collect();
    for (id, difference) in &mut differences {
        *difference -= sums.get(id).copied().unwrap_or_default();
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
