//! Writes the bitmaps.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;

use super::{
    product_set::{parse, position},
    terms::{self, SOLD_OUT},
};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
    },
    domain::catalog::search::{entry::IndexEntry, search_index::StoredEntry},
    infra::db::{Row, Tx, Value, params, placeholders},
};

/// Writes the terms of products, in place of those that they had.
pub(super) fn write(tx: &mut Tx<'_>, entries: &[IndexEntry]) -> Result<Vec<StoredEntry>> {
    let current = current_terms(tx, entries)?;
    let filter_terms = entries
        .iter()
        .map(|entry| terms::filter_terms(&entry.name_key, entry.attributes));
    let filter_terms: Vec<String> = filter_terms.collect();
    let terms: Vec<String> = entries
        .iter()
        .zip(&filter_terms)
        .map(|(entry, filter_terms)| {
            let (name_words, words) = (entry.name_words.join(" "), entry.words.join(" "));
            terms::terms(&name_words, &words, filter_terms)
        })
        .collect();
    let mut changes = Changes::default();
    let mut stored = Vec::with_capacity(entries.len());
    for ((entry, terms), filter_terms) in entries.iter().zip(&terms).zip(filter_terms) {
        let (number, before) = current
            .get(&entry.product)
            .ok_or_else(|| Error::internal("a product to index does not exist"))?;
        changes.add(*number, before, terms)?;
        stored.push(StoredEntry {
            product_number: Some(*number),
            filter_terms,
        });
    }
    changes.write(tx)?;
    Ok(stored)
}

/// Removes a product.
pub(super) fn remove(tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
    let removed = tx.one(
        "DELETE FROM product_search WHERE product_id = ?1 RETURNING number, name_words, words, marks",
        params![product],
        |row| Ok((row.get::<Option<i64>>("number")?, stored_terms(row)?)),
    )?;
    match removed {
        Some((Some(number), terms)) => replace(tx, number, &terms, ""),
        _ => Ok(()),
    }
}

/// Adds or removes the filter term [`SOLD_OUT`] of a product.
pub(super) fn set_sold_out(tx: &mut Tx<'_>, product: ProductId, is_sold_out: bool) -> Result<()> {
    let sql = "SELECT number, marks FROM product_search WHERE product_id = ?1";
    let current = tx.one(sql, params![product], |row| {
        Ok((row.get("number")?, row.get::<String>("marks")?))
    })?;
    // A deleted product is not indexed, but a cancelled order still returns its stock.
    let Some((Some(number), before)) = current else {
        return Ok(());
    };
    let terms = before.split(' ').filter(|term| *term != SOLD_OUT);
    let terms: Vec<&str> = terms.chain(is_sold_out.then_some(SOLD_OUT)).collect();
    let terms = terms.join(" ");
    let sql = "UPDATE product_search SET marks = ?2 WHERE product_id = ?1";
    tx.execute(sql, params![product, &terms])?;
    replace(tx, number, &before, &terms)
}

/// Replaces terms of one product.
fn replace(tx: &mut Tx<'_>, number: i64, before: &str, after: &str) -> Result<()> {
    let mut changes = Changes::default();
    changes.add(number, before, after)?;
    changes.write(tx)
}

/// Reads the bitmap of a term in a block.
fn bitmap(tx: &mut Tx<'_>, block: i64, term: &str) -> Result<RoaringBitmap> {
    let sql = "SELECT products FROM postings WHERE block = ?1 AND word = ?2";
    let found = tx.one(sql, params![block, term], |row| parse(row.get("products")?))?;
    Ok(found.unwrap_or_default())
}

/// Returns the product number of each product, with the terms that are indexed of it.
fn current_terms(
    tx: &mut Tx<'_>,
    entries: &[IndexEntry],
) -> Result<BTreeMap<ProductId, (i64, String)>> {
    let products = entries.iter().map(|entry| Value::from(entry.product));
    let values: Vec<Value<'_>> = products.collect();
    let sql = format!(
        "SELECT p.id, p.rowid AS number, coalesce(s.name_words, '') AS name_words,
             coalesce(s.words, '') AS words, coalesce(s.marks, '') AS marks
         FROM products p LEFT JOIN product_search s ON s.product_id = p.id AND s.number IS NOT NULL
         WHERE p.id IN {}",
        placeholders(values.len(), 1)
    );
    let rows = tx.all(&sql, &values, |row| {
        Ok((row.get("id")?, (row.get("number")?, stored_terms(row)?)))
    })?;
    Ok(rows.into_iter().collect())
}

/// Returns the terms that are indexed of a product, by its row in `product_search`.
fn stored_terms(row: &Row<'_>) -> Result<String> {
    Ok(terms::terms(
        row.get("name_words")?,
        row.get("words")?,
        row.get("marks")?,
    ))
}

/// By block and term: the products that gain it, and those that lose it.
#[derive(Default)]
struct Changes<'a>(BTreeMap<(i64, &'a str), [RoaringBitmap; 2]>);

impl<'a> Changes<'a> {
    fn add(&mut self, number: i64, before: &'a str, after: &'a str) -> Result<()> {
        let (block, offset) = position(number)?;
        let block = i64::try_from(block).map_err(Error::internal)?;
        let [before, after] =
            [before, after].map(|terms| terms.split_ascii_whitespace().collect::<BTreeSet<&str>>());
        let gained = after.difference(&before).map(|term| (term, 0));
        let lost = before.difference(&after).map(|term| (term, 1));
        for (term, which) in gained.chain(lost) {
            self.0.entry((block, term)).or_default()[which].insert(offset);
        }
        Ok(())
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<()> {
        for ((block, term), [gained, lost]) in self.0 {
            let products = (bitmap(tx, block, term)? - lost) | gained;
            if products.is_empty() {
                let sql = "DELETE FROM postings WHERE block = ?1 AND word = ?2";
                tx.execute(sql, params![block, term])?;
                continue;
            }
            let mut bytes = Vec::with_capacity(products.serialized_size());
            products
                .serialize_into(&mut bytes)
                .map_err(Error::internal)?;
            tx.execute(
                "INSERT INTO postings (block, word, products) VALUES (?1, ?2, ?3)
                 ON CONFLICT (word, block) DO UPDATE SET products = excluded.products",
                params![block, term, Value::Blob(&bytes)],
            )?;
        }
        Ok(())
    }
}
