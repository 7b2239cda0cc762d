//! Writes index entries, and the words that spelling correction may suggest.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    engine::search_index,
    entry::{FilterAttributes, IndexEntry, entry},
    name_sort_key, spelling,
    tokenize::can_be_misspelt,
};
use crate::{
    core::{error::Result, id::ProductId},
    domain::catalog::{
        cache_tags,
        normalize::VERSION,
        product::Product,
        store::{self, ProductRow},
    },
    infra::db::{Tx, Value, placeholders},
};

/// Indexes product rows that were just written.
pub(in crate::domain::catalog) fn index_rows(
    tx: &mut Tx<'_>,
    rows: &[ProductRow<'_>],
) -> Result<()> {
    let entries = rows.iter().map(|row| {
        let columns = &row.columns;
        let attributes = FilterAttributes {
            category: columns.category,
            price: columns.price,
            is_sold_out: row.stock == 0,
        };
        entry(row.id, columns.name, columns.description, attributes)
    });
    index(tx, entries.collect())
}

/// Indexes a product as it is stored.
pub(in crate::domain::catalog) fn index_product(
    tx: &mut Tx<'_>,
    product: &Product<'_>,
) -> Result<()> {
    let attributes = FilterAttributes {
        category: product.category_id,
        price: product.price,
        is_sold_out: product.stock_quantity == 0,
    };
    let entry = entry(product.id, &product.name, &product.description, attributes);
    index(tx, vec![entry])
}

/// Inserts or replaces entries: one upsert for all of them.
pub(in crate::domain::catalog) fn index(
    tx: &mut Tx<'_>,
    mut entries: Vec<IndexEntry>,
) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    cache_tags::invalidate_lists(tx);
    add_skus(tx, &mut entries)?;
    assign_keys(tx, &mut entries)?;
    // Rows are written fastest in ascending key order.
    entries.sort_unstable_by_key(|entry| entry.key);
    let stored = search_index(tx).write(tx, &entries)?;
    let words = |entry: &IndexEntry| (entry.name_words.join(" "), entry.words.join(" "));
    let texts: Vec<(String, String)> = entries.iter().map(words).collect();
    let mut values: Vec<Value<'_>> = Vec::with_capacity(entries.len() * 8);
    for ((entry, stored), (name_words, words)) in entries.iter().zip(&stored).zip(&texts) {
        values.extend([
            Value::Int(entry.key),
            Value::from(entry.product),
            stored.product_number.map_or(Value::Null, Value::Int),
            Value::from(&entry.name_key),
            Value::Int(VERSION),
            Value::from(name_words),
            Value::from(words),
            Value::from(&stored.filter_terms),
        ]);
    }
    let sql = format!(
        "INSERT INTO product_search (key, product_id, number, name_key, folding, name_words, words, marks)
         VALUES {}
         ON CONFLICT (product_id) DO UPDATE SET key = excluded.key, number = excluded.number,
             name_key = excluded.name_key, folding = excluded.folding, name_words = excluded.name_words,
             words = excluded.words, marks = excluded.marks",
        placeholders(8, entries.len())
    );
    tx.execute(&sql, &values)?;
    // Words are inserted in sorted order, so that concurrent transactions cannot deadlock.
    let names: BTreeSet<&String> = entries.iter().flat_map(|entry| &entry.name_words).collect();
    let names = names.into_iter().filter(|word| can_be_misspelt(word));
    spelling::insert_words(tx, &names.collect::<Vec<_>>())
}

/// Adds the SKUs of the products' variants.
fn add_skus(tx: &mut Tx<'_>, entries: &mut [IndexEntry]) -> Result<()> {
    let products: Vec<ProductId> = entries.iter().map(|entry| entry.product).collect();
    let mut skus: BTreeMap<ProductId, Vec<String>> = BTreeMap::new();
    store::each_sku_of(tx, &products, |product, sku| {
        skus.entry(product).or_default().push(sku.to_owned());
    })?;
    for entry in entries {
        for sku in skus.get(&entry.product).into_iter().flatten() {
            entry.add_sku(sku);
        }
    }
    Ok(())
}

/// Gives each entry a unique sort key. If a concurrent transaction takes the same key, this one runs again.
fn assign_keys(tx: &mut Tx<'_>, entries: &mut [IndexEntry]) -> Result<()> {
    let mut assigned = BTreeSet::new();
    let mut pending: Vec<usize> = (0..entries.len()).collect();
    while !pending.is_empty() {
        let values: Vec<Value<'_>> = pending
            .iter()
            .map(|at| Value::Int(entries[*at].key))
            .collect();
        let sql = format!(
            "SELECT key, product_id FROM product_search WHERE key IN {}",
            placeholders(values.len(), 1)
        );
        let taken: BTreeMap<i64, ProductId> = tx
            .all(&sql, &values, |row| {
                Ok((row.get("key")?, row.get("product_id")?))
            })?
            .into_iter()
            .collect();
        pending.retain(|at| {
            let entry = &mut entries[*at];
            let owner = taken.get(&entry.key);
            let is_free = owner.is_none_or(|owner| *owner == entry.product);
            if is_free && assigned.insert(entry.key) {
                return false;
            }
            entry.key = name_sort_key::next(entry.key);
            true
        });
    }
    Ok(())
}

/// Removes a product from the index.
pub(in crate::domain::catalog) fn remove(tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
    cache_tags::invalidate_lists(tx);
    search_index(tx).remove(tx, product)
}

/// Records that a product has sold out or is available again.
pub(in crate::domain::catalog) fn set_sold_out(
    tx: &mut Tx<'_>,
    product: ProductId,
    is_sold_out: bool,
) -> Result<()> {
    cache_tags::invalidate_availability(tx);
    search_index(tx).set_sold_out(tx, product, is_sold_out)
}

/// Makes searches fast after many writes.
pub fn merge_search_index(tx: &mut Tx<'_>) -> Result<()> {
    search_index(tx).merge(tx)
}
