//! Checks the catalog's data for inconsistencies and repairs them. The stock of a variant is authoritative: a
//! repair adds missing movements and never changes the stock.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use uuid::Uuid;

use super::{
    get::{product, product_for_update},
    kept_values,
    manage_products::copy_images,
    normalize::{case_fold, normalize},
    options::{ProductOptions, VariantOptions},
    search,
    stock::{Cause, Movement},
    store::{self, VariantStock},
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
        event::StockChange,
        finding::{Finding, Findings, MAX_FINDINGS, Repairable},
        id::{CategoryId, ProductId, VariantId},
    },
    domain::media,
    infra::db::Tx,
};

const MOVEMENTS: &str = "stock-movements";
const COUNT: &str = "product-count";
const CATEGORY_COUNT: &str = "category-count";
const PRICE_COUNTS: &str = "price-counts";
const SOLD_OUT: &str = "sold-out";
const VARIANT_KEPT: &str = "variant-kept";
const VARIANT_PRESENT: &str = "variant-present";

/// The checks that [`repair`] handles.
const REPAIRED: [&str; 8] = [
    MOVEMENTS,
    COUNT,
    CATEGORY_COUNT,
    PRICE_COUNTS,
    SOLD_OUT,
    VARIANT_KEPT,
    VARIANT_PRESENT,
    media::PRODUCT_IMAGES_CHECK,
];

/// Runs all checks and adds what they find.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let unbalanced = store::unbalanced_stock(tx)?.into_iter();
    let unbalanced = unbalanced.map(|variant| {
        let (stock, moved) = (variant.stock, variant.moved);
        let says = format!("the stock is {stock}, but its movements add up to {moved}");
        Finding::new(name(&variant), says).repairable(Repairable::Row(variant.id.0))
    });
    findings.record(MOVEMENTS, unbalanced);

    let impossible = store::impossible_stock(tx)?.into_iter();
    let impossible = impossible.map(|variant| {
        let remedy = "count the units and set it with `shop admin product stock`";
        let stock = variant.stock;
        let says = format!("the stock is {stock}, which is out of bounds; {remedy}");
        Finding::new(name(&variant), says)
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

    let wrong = store::wrong_kept_values(tx)?.into_iter();
    let wrong = wrong.map(|id| {
        let says = "its price, stock or number of variants is not that of its variants";
        Finding::new(format!("product {id}"), says.to_owned()).repairable(Repairable::Row(id.0))
    });
    findings.record(VARIANT_KEPT, wrong);

    findings.record("variant-options", wrong_options(tx)?);
    findings.record("sku-unique", wrong_sku_keys(tx)?);
    findings.record("category-name", equal_categories(tx)?);
    Ok(())
}

/// Returns the name of a variant in a finding: without options, that of its product.
fn name(variant: &VariantStock) -> String {
    if variant.has_options {
        format!("variant {}", variant.id)
    } else {
        format!("product {}", variant.product)
    }
}

/// Returns the variants that do not have exactly one value of each option of their product. The database guarantees that
/// no two have the same values.
fn wrong_options(tx: &mut Tx<'_>) -> Result<Vec<Finding>> {
    let mut wrong = Vec::new();
    store::each_with_options(tx, |product, id, options, product_options, key| {
        let options = VariantOptions::from_json(options)?;
        let product_options = ProductOptions::from_json(product_options)?;
        let expected = product_options.selected_by(&options);
        if expected.is_none_or(|expected| expected.key() != key) && wrong.len() <= MAX_FINDINGS {
            let says = format!(
                "it does not have one value of each option of product {product}; delete it, and create it again"
            );
            wrong.push(Finding::new(format!("variant {id}"), says));
        }
        Ok(())
    })?;
    Ok(wrong)
}

/// Returns the variants whose normalized SKU is not that of their SKU, so that another variant may have the same SKU.
/// The database guarantees that no two normalized SKUs are equal.
fn wrong_sku_keys(tx: &mut Tx<'_>) -> Result<Vec<Finding>> {
    let mut wrong = Vec::new();
    store::each_sku(tx, |id, sku, stored| {
        let key = case_fold(sku);
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
            store::reset_kept_values(tx, id)?;
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
    for id in rows_to_repair(found, CATEGORY_COUNT) {
        store::recount_category(tx, CategoryId(id))?;
    }
    let products = |check| {
        rows_to_repair(found, check)
            .map(ProductId)
            .collect::<Vec<_>>()
    };
    for id in products(media::PRODUCT_IMAGES_CHECK) {
        store::lock_product(tx, id)?;
        copy_images(tx, id)?;
    }
    for id in products(SOLD_OUT) {
        store::lock_product(tx, id)?;
        store::set_sold_out(tx, id)?;
    }
    correct_variants(tx, &products(VARIANT_PRESENT))?;
    correct_kept_values(tx, &products(VARIANT_KEPT))?;
    let unbalanced = rows_to_repair(found, MOVEMENTS).map(VariantId);
    balance_movements(tx, &unbalanced.collect::<Vec<_>>())?;
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

fn rows_to_repair<'a>(found: &'a [Finding], check: &'a str) -> impl Iterator<Item = Uuid> + 'a {
    let rows = found.iter();
    rows.filter_map(move |finding| finding.repairable_row(check))
}

/// Records a movement for the difference between each variant's stock and its movements.
fn balance_movements(tx: &mut Tx<'_>, variants: &[VariantId]) -> Result<()> {
    if variants.is_empty() {
        return Ok(());
    }
    // The locks keep the stock constant until the movements are written.
    let products = store::products_of(tx, variants)?;
    store::lock_products(tx, &products, |_| Ok(()))?;
    let balances = store::balances(tx, variants)?.into_iter();
    let differences = balances.filter(|variant| variant.stock != variant.moved);
    let movements: Vec<_> = differences
        .map(|variant| {
            let difference = variant.stock - variant.moved;
            Movement::of_variant(Cause::Repair, variant.product, variant.id, difference)
        })
        .collect();
    if movements.is_empty() {
        return Ok(());
    }
    store::insert_movements(tx, &movements)
}

/// Computes again what products keep of their variants.
fn correct_kept_values(tx: &mut Tx<'_>, products: &[ProductId]) -> Result<()> {
    for id in products {
        let before = product_for_update(tx, *id)?;
        let variants = store::variants_of(tx, *id)?;
        if variants.iter().all(|variant| variant.options.is_empty()) {
            store::reset_kept_values(tx, *id)?;
            continue;
        }
        let after = kept_values::update(tx, *id)?;
        if after.stock_quantity != before.stock_quantity {
            tx.emit_stock(&[StockChange::now(*id, after.stock_quantity)])?;
        }
    }
    Ok(())
}
