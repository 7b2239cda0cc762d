//! The search index on `SQLite`: an FTS5 table finds the words in key order, bitmaps count and filter.
//!
//! A category is found like a word; the filter terms of price and availability are in the bitmaps only.
//!
//! A prefix is expanded to the words that start with it, from the table `search_words`, which only this index
//! writes and reads. FTS5 can list its words, too (`fts5vocab`), but it counts the products of each word that it
//! lists. In a catalog of 10,000 products, expanding a prefix takes 5 to 14 µs with the table,
//! 25 to 400 µs with `fts5vocab`, and more in larger ones.

use std::collections::BTreeSet;

use super::{
    bitmap_index::{self, BitmapMatches, BitmapQuery, json_array},
    entry::{FilterAttributes, IndexEntry},
    search_index::{IndexQuery, SearchField, SearchIndex, StoredEntry, Window},
};
use crate::{
    core::{error::Result, id::ProductId, pagination::COUNTED_UP_TO},
    domain::catalog::{
        category::Category,
        filters::{Filters, Sort},
        store::{IndexSource, ProductQuery, numbers_after, use_sold_out_index},
    },
    infra::db::{Tx, Value, params, placeholders},
};

/// A prefix is replaced by the words that start with it if there are at most this many.
const MAX_EXPANSIONS: usize = 16;

/// Result sets up to this size may be read by product number.
const MAX_READ_BY_NUMBER: i64 = 5000;

/// The time to read a product, in index entries that can be scanned and checked meanwhile.
const ENTRIES_PER_PRODUCT: i64 = 7;

/// How many entries of the index of prices are scanned before looking up where the first match is.
const MAX_WITHOUT_SKIPPING: i64 = 1000;

/// Typical page size.
const PAGE_SIZE: i64 = 20;

pub(super) struct Fts5;

impl SearchIndex for Fts5 {
    fn indexes_filter_terms(&self) -> bool {
        true
    }

    fn write(&self, tx: &mut Tx<'_>, entries: &[IndexEntry]) -> Result<Vec<StoredEntry>> {
        let texts: Vec<(String, String)> = entries.iter().map(texts).collect();
        let terms: Vec<(ProductId, String)> = entries
            .iter()
            .zip(&texts)
            .map(|(entry, (words, filter_terms))| {
                (entry.product, format!("{words} {filter_terms}"))
            })
            .collect();
        let numbers = bitmap_index::write(tx, &terms)?;
        insert_words(tx, entries)?;
        let stored = texts.into_iter().zip(numbers);
        Ok(stored
            .map(|((words, filter_terms), number)| StoredEntry {
                product_number: Some(number),
                words,
                filter_terms,
            })
            .collect())
    }

    fn remove(&self, tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
        let removed = tx.one(
            "DELETE FROM product_search WHERE product_id = ?1 RETURNING number, words || ' ' || marks AS terms",
            params![product],
            |row| Ok((row.get::<Option<i64>>("number")?, row.get::<String>("terms")?)),
        )?;
        match removed {
            Some((Some(number), terms)) => bitmap_index::replace(tx, number, &terms, ""),
            _ => Ok(()),
        }
    }

    fn set_sold_out(&self, tx: &mut Tx<'_>, product: ProductId, is_sold_out: bool) -> Result<()> {
        bitmap_index::set_sold_out(tx, product, is_sold_out)
    }

    /// See <https://www.sqlite.org/fts5.html#the_optimize_command>.
    fn merge(&self, tx: &mut Tx<'_>) -> Result<()> {
        tx.execute(
            "INSERT INTO product_fts (product_fts) VALUES ('optimize')",
            &[],
        )?;
        Ok(())
    }

    /// Words hold letters, digits and combining marks only, so that they need no escapes.
    fn query(&self, tx: &mut Tx<'_>, clauses: &[Vec<String>]) -> Result<IndexQuery> {
        let prefixes: Vec<&String> = clauses.iter().flatten().collect();
        let mut expanded = expand(tx, &prefixes)?.into_iter();
        let mut texts = Vec::with_capacity(clauses.len());
        for clause in clauses {
            let words: Vec<_> = expanded.by_ref().take(clause.len()).collect();
            texts.push(format!("({})", words.join(" OR ")));
        }
        // The column of all words includes those of the name.
        let all = texts.join(" AND ");
        let name = format!("name_words : ({all})");
        let all_but_name = format!("({all}) NOT ({name})");
        Ok(IndexQuery::new(clauses, [name, all, all_but_name]))
    }

    fn count(&self, tx: &mut Tx<'_>, clauses: &[Vec<String>], max: i64) -> Result<i64> {
        let matches = BitmapQuery::new(clauses).find(tx, max)?;
        Ok(matches.count)
    }

    fn add_filters(
        &self,
        tx: &mut Tx<'_>,
        query: &mut IndexQuery,
        filters: &Filters,
        category: Option<&Category>,
    ) -> Result<()> {
        if let Some(category) = category {
            let term = bitmap_index::category_term(category.id);
            query.map_expressions(|expression| format!("({expression}) AND \"{term}\""));
        }
        let bitmaps = BitmapQuery::new(&query.clauses).with_filters(filters, category);
        let matches = bitmaps.find(tx, COUNTED_UP_TO + 1)?;
        // For each row of a page, the full-text index finds others that the filters exclude. If most are
        // excluded, reading the matches by their product numbers is faster.
        let is_rare = matches.count <= MAX_READ_BY_NUMBER
            && matches.count.pow(2) <= PAGE_SIZE * matches.before_filters;
        if filters.has_price_or_stock_filter() && is_rare {
            query.product_numbers = Some(matches.product_numbers());
        }
        query.matches = Some(matches);
        Ok(())
    }

    /// Scans the index of the sort order for the matches, until there are enough rows. Prices before that of the first
    /// match are skipped. It stops earlier if reading and sorting all matches would have taken as long, and does that
    /// instead: the matches may all be at the end.
    fn numbers_in_order(
        &self,
        tx: &mut Tx<'_>,
        query: &IndexQuery,
        filters: &Filters,
        category: Option<&Category>,
        window: Window<'_>,
    ) -> Result<Option<String>> {
        let sort = filters.sort;
        let mut matches = query.matches.clone().unwrap_or_default();
        let mut max_scanned = matches.count * ENTRIES_PER_PRODUCT;
        if matches.count > COUNTED_UP_TO {
            // The statement has the filters.
            BitmapQuery::new(&query.clauses).find_more(tx, &mut matches, i64::MAX)?;
            max_scanned = i64::MAX;
        }
        let can_skip =
            sort.is_by_price() && window.after.is_none() && max_scanned > MAX_WITHOUT_SKIPPING;
        let max_first = if can_skip {
            MAX_WITHOUT_SKIPPING
        } else {
            max_scanned
        };
        let scan = in_sort_order(filters, category);
        let mut found = matches_in_window(tx, sort, scan, &matches, window, max_first)?;
        if found.is_none() && can_skip {
            let prices = filters.prices().unwrap_or(0..=i64::MAX);
            let prices = bitmap_index::skip_prices(tx, &matches, prices, sort.is_descending())?;
            let mut rest = filters.clone();
            rest.min_price = Some(*prices.start());
            rest.max_price = Some(*prices.end());
            let scan = in_sort_order(&rest, category);
            found = matches_in_window(tx, sort, scan, &matches, window, max_scanned)?;
        }
        if found.is_none() {
            let numbers = matches.product_numbers();
            let all = ProductQuery::with_numbers(&numbers);
            found = matches_in_window(tx, sort, all, &matches, window, i64::MAX)?;
        }
        Ok(found.map(json_array))
    }

    fn source<'a>(
        &self,
        statement: &mut ProductQuery<'a>,
        query: &'a IndexQuery,
        field: SearchField,
    ) -> IndexSource {
        // `CROSS JOIN` keeps the planner from starting with another table.
        let product_join = "CROSS JOIN products p ON p.id =";
        let Some(numbers) = &query.product_numbers else {
            let expression = statement.value(query.expression(field));
            return IndexSource {
                tables: "product_fts CROSS JOIN product_search s ON s.key = product_fts.rowid",
                product_join,
                key: "product_fts.rowid",
                conditions: format!("product_fts MATCH {expression}"),
            };
        };
        let numbers = statement.value(numbers);
        IndexSource {
            tables: "product_search s",
            product_join,
            key: "(s.key + 0)",
            conditions: format!("s.number IN (SELECT value FROM json_each({numbers}))"),
        }
    }
}

/// Returns the statement that scans the index of a sort order for all products that match the filters.
fn in_sort_order(filters: &Filters, category: Option<&Category>) -> ProductQuery<'static> {
    let mut scan = if filters.sort.is_by_price() {
        ProductQuery::from_filters(filters, category)
    } else {
        ProductQuery::in_sort_order(filters, category)
    };
    use_sold_out_index(&mut scan, filters, category, filters.sort);
    scan
}

/// Returns the product numbers of the matches in a window of a statement's rows, or `None` if they are not found among
/// its first `max_scanned` rows.
fn matches_in_window<'a>(
    tx: &mut Tx<'_>,
    sort: Sort,
    statement: ProductQuery<'a>,
    matches: &BitmapMatches,
    window: Window<'a>,
    max_scanned: i64,
) -> Result<Option<Vec<i64>>> {
    let (mut scanned, mut skipped, mut found) = (0, 0, Vec::new());
    let mut remaining = window.limit;
    numbers_after(tx, sort, statement, window.after, &mut |number| {
        scanned += 1;
        if matches.contains(number) {
            if skipped < window.offset {
                skipped += 1;
            } else {
                found.push(number);
                remaining -= 1;
            }
        }
        remaining > 0 && scanned < max_scanned
    })?;
    let is_complete = remaining == 0 || scanned < max_scanned;
    Ok(is_complete.then_some(found))
}

/// Returns the texts to index, separated by spaces: the words with the filter term of the category, which the
/// full-text index finds, too; and the other filter terms.
fn texts(entry: &IndexEntry) -> (String, String) {
    let FilterAttributes {
        category,
        price,
        is_sold_out,
    } = entry.attributes;
    let mut words = entry.words.join(" ");
    if let Some(category) = category {
        words = format!("{words} {}", bitmap_index::category_term(category));
    }
    (words, bitmap_index::filter_terms(price, is_sold_out))
}

/// Inserts the words of entries into the dictionary that [`expand`] reads. Words are never removed: one that no
/// product has any more matches nothing.
fn insert_words(tx: &mut Tx<'_>, entries: &[IndexEntry]) -> Result<()> {
    let words: BTreeSet<&String> = entries.iter().flat_map(|entry| &entry.words).collect();
    let values: Vec<Value<'_>> = words.into_iter().map(Value::from).collect();
    for batch in values.chunks(500) {
        let sql = format!(
            "INSERT INTO search_words (word) VALUES {} ON CONFLICT DO NOTHING",
            placeholders(1, batch.len())
        );
        tx.execute(&sql, batch)?;
    }
    Ok(())
}

/// Returns an FTS5 expression for each prefix: the words that start with it, if they are few. For a prefix
/// query FTS5 collects all matches before it returns the first.
fn expand(tx: &mut Tx<'_>, prefixes: &[&String]) -> Result<Vec<String>> {
    let upper_bounds: Vec<String> = prefixes
        .iter()
        .map(|prefix| format!("{prefix}\u{10ffff}"))
        .collect();
    let mut values: Vec<Value<'_>> = Vec::with_capacity(prefixes.len() * 2);
    let mut selects = Vec::with_capacity(prefixes.len());
    for (at, (prefix, upper_bound)) in prefixes.iter().zip(&upper_bounds).enumerate() {
        values.extend([Value::from(*prefix), Value::from(upper_bound)]);
        let (from, to) = (at * 2 + 1, at * 2 + 2);
        selects.push(format!(
            "SELECT prefix, word FROM (SELECT {at} AS prefix, word FROM search_words
             WHERE word >= ?{from} AND word < ?{to} ORDER BY word LIMIT {MAX_EXPANSIONS} + 1) AS of_{at}"
        ));
    }
    let mut expansions: Vec<Vec<String>> = vec![Vec::new(); prefixes.len()];
    tx.each(&selects.join(" UNION ALL "), &values, |row| {
        let at: i64 = row.get("prefix")?;
        let words = usize::try_from(at)
            .ok()
            .and_then(|at| expansions.get_mut(at));
        if let Some(words) = words {
            words.push(format!("\"{}\"", row.get::<&str>("word")?));
        }
        Ok(())
    })?;
    let expressions = prefixes.iter().zip(expansions).map(|(prefix, words)| {
        if (1..=MAX_EXPANSIONS).contains(&words.len()) {
            words.join(" OR ")
        } else {
            format!("\"{prefix}\" *")
        }
    });
    Ok(expressions.collect())
}
