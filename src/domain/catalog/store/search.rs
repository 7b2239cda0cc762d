//! What search finds products by, as rows. The engines only find candidates; which come first is told by
//! the words themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        error::Result,
        id::{CategoryId, ProductId},
        money::Price,
    },
    domain::catalog::{
        fold, place,
        search::entry,
        store::postings,
        words::{is_spelt, trigrams},
    },
    infra::db::{Sql, Tx, Value, params, placeholders},
};

/// What is kept of a product.
pub(in crate::domain::catalog) struct Entry {
    pub product: ProductId,
    /// The key that it would have if all were free.
    pub key: i64,
    pub name_key: String,
    pub name_words: Vec<String>,
    /// Those of the name among them.
    pub words: Vec<String>,
    pub facts: Facts,
}

/// What else lists of products are narrowed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain::catalog) struct Facts {
    pub category: Option<CategoryId>,
    pub price: Price,
    pub is_sold_out: bool,
}

impl Entry {
    /// The words of the name, all words, and marks, with spaces between them. A category is found with the
    /// words. Where others write too, a program from before would leave marks out: nobody goes by them there.
    fn texts(&self, is_alone: bool) -> [String; 3] {
        let Facts {
            category,
            price,
            is_sold_out,
        } = self.facts;
        let (mut words, mut marks) = (self.words.join(" "), String::new());
        if is_alone {
            if let Some(category) = category {
                words = format!("{words} {}", postings::category(category));
            }
            marks = postings::marks(price, is_sold_out);
        }
        [self.name_words.join(" "), words, marks]
    }
}

/// Writes entries, all in one statement, in the place of earlier ones.
pub(in crate::domain::catalog) fn write(tx: &mut Tx<'_>, mut entries: Vec<Entry>) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    find_keys(tx, &mut entries)?;
    // An index of words is written in runs of rising keys.
    entries.sort_unstable_by_key(|entry| entry.key);
    let is_alone = tx.is_single_writer();
    let texts: Vec<[String; 3]> = entries.iter().map(|entry| entry.texts(is_alone)).collect();
    let mut numbers = Vec::new();
    if is_alone {
        let told = entries.iter().zip(&texts);
        let told =
            told.map(|(entry, [_, words, marks])| (entry.product, format!("{words} {marks}")));
        numbers = postings::write(tx, &told.collect::<Vec<_>>())?;
    }
    let mut values: Vec<Value<'_>> = Vec::with_capacity(entries.len() * 8);
    for (at, (entry, texts)) in entries.iter().zip(&texts).enumerate() {
        values.extend([
            Value::Int(entry.key),
            Value::from(entry.product),
            numbers
                .get(at)
                .map_or(Value::Null, |number| Value::Int(*number)),
            Value::from(&entry.name_key),
            Value::Int(fold::VERSION),
        ]);
        values.extend(texts.iter().map(Value::from));
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
    // In one order, so that two who add the same words do not wait for each other.
    let words: BTreeSet<&String> = entries.iter().flat_map(|it| &it.words).collect();
    add_words(tx, &words.into_iter().collect::<Vec<_>>())?;
    let names: BTreeSet<&String> = entries.iter().flat_map(|it| &it.name_words).collect();
    let mut names = names.into_iter().filter(|word| is_spelt(word));
    names.try_for_each(|word| add_word(tx, word))
}

/// Gives each entry a key that no other product has. Somebody else may take it at the same time, and then
/// the transaction runs again.
fn find_keys(tx: &mut Tx<'_>, entries: &mut [Entry]) -> Result<()> {
    let mut given = BTreeSet::new();
    let mut todo: Vec<usize> = (0..entries.len()).collect();
    while !todo.is_empty() {
        let values: Vec<Value<'_>> = todo.iter().map(|at| Value::Int(entries[*at].key)).collect();
        let sql = format!(
            "SELECT key, product_id FROM product_search WHERE key IN {}",
            placeholders(values.len(), 1)
        );
        let taken: BTreeMap<i64, ProductId> = tx
            .all(&sql, &values, |row| Ok((row.get(0)?, row.get(1)?)))?
            .into_iter()
            .collect();
        todo.retain(|at| {
            let entry = &mut entries[*at];
            let owner = taken.get(&entry.key);
            let is_free = owner.is_none_or(|owner| *owner == entry.product);
            if is_free && given.insert(entry.key) {
                return false;
            }
            entry.key = place::next(entry.key);
            true
        });
    }
    Ok(())
}

/// Makes words known to those who ask for the beginning of one.
fn add_words(tx: &mut Tx<'_>, words: &[&String]) -> Result<()> {
    for part in words.chunks(500) {
        let values: Vec<Value<'_>> = part.iter().map(|word| Value::from(*word)).collect();
        let sql = format!(
            "INSERT INTO search_words (word) VALUES {} ON CONFLICT DO NOTHING",
            placeholders(1, part.len())
        );
        tx.execute(&sql, &values)?;
    }
    Ok(())
}

/// Makes a word known to those that are spelt alike.
fn add_word(tx: &mut Tx<'_>, word: &str) -> Result<()> {
    let trigrams = trigrams(word);
    let Some(first) = trigrams.first() else {
        return Ok(());
    };
    let known = tx.one(
        "SELECT 1 FROM search_trigrams WHERE trigram = ?1 AND word = ?2",
        params![first, word],
        |_| Ok(()),
    )?;
    if known.is_some() {
        return Ok(());
    }
    let mut values: Vec<Value<'_>> = Vec::with_capacity(trigrams.len() * 2);
    for trigram in &trigrams {
        values.extend([Value::from(trigram), Value::Text(word)]);
    }
    let sql = format!(
        "INSERT INTO search_trigrams (trigram, word) VALUES {} ON CONFLICT DO NOTHING",
        placeholders(2, trigrams.len())
    );
    tx.execute(&sql, &values).map(drop)
}

pub(in crate::domain::catalog) fn remove(tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
    let removed = tx.one(
        "DELETE FROM product_search WHERE product_id = ?1 RETURNING number, words || ' ' || marks",
        params![product],
        |row| Ok((row.get::<Option<i64>>(0)?, row.get::<String>(1)?)),
    )?;
    match removed {
        Some((Some(number), words)) => postings::change(tx, number, &words, ""),
        _ => Ok(()),
    }
}

/// Takes note that a product is sold out, or not any more.
pub(in crate::domain::catalog) fn sold_out(
    tx: &mut Tx<'_>,
    product: ProductId,
    is_sold_out: bool,
) -> Result<()> {
    if tx.is_single_writer() {
        postings::sold_out(tx, product, is_sold_out)?;
    }
    Ok(())
}

/// Returns the last product whose words are written.
pub(in crate::domain::catalog) fn last(tx: &mut Tx<'_>) -> Result<Option<ProductId>> {
    let sql = "SELECT product_id FROM product_search ORDER BY product_id DESC LIMIT 1";
    tx.one(sql, &[], |row| row.get(0))
}

/// Returns whether a program from before foldings had versions wrote any product.
pub(in crate::domain::catalog) fn is_any_unversioned(tx: &mut Tx<'_>) -> Result<bool> {
    let sql = "SELECT 1 FROM product_search WHERE folding = 0 LIMIT 1";
    Ok(tx.one(sql, &[], |_| Ok(()))?.is_some())
}

/// Returns how many products are written by the present folding.
pub(in crate::domain::catalog) fn count_folded(tx: &mut Tx<'_>) -> Result<i64> {
    let sql = "SELECT count(*) FROM product_search WHERE folding >= ?1";
    let counted = tx.one(sql, params![fold::VERSION], |row| row.get(0))?;
    Ok(counted.unwrap_or_default())
}

/// A product whose stored keys and words are outdated or missing.
pub(in crate::domain::catalog) struct Outdated {
    pub entry: Entry,
    pub slug: String,
    /// Whether the product's own row has the right key and slug.
    pub has_key: bool,
}

/// Returns up to `most` products of the catalog behind `after` that the present folding has not written,
/// and keeps their rows for this transaction.
pub(in crate::domain::catalog) fn outdated(
    tx: &mut Tx<'_>,
    after: ProductId,
    most: i64,
) -> Result<Vec<Outdated>> {
    let sql =
        "SELECT p.id, p.name, p.description, p.category_id, p.price, p.stock, p.name_key, p.slug
         FROM products p
         WHERE p.id > ?1 AND p.deleted_at IS NULL AND NOT EXISTS
             (SELECT 1 FROM product_search s WHERE s.product_id = p.id AND s.folding >= ?3)
         ORDER BY p.id LIMIT ?2";
    tx.all(
        Sql::from(sql).for_update("p"),
        params![after, most, fold::VERSION],
        |row| {
            let facts = Facts {
                category: row.get(3)?,
                price: row.get(4)?,
                is_sold_out: row.get::<i64>(5)? == 0,
            };
            let name: &str = row.get(1)?;
            let (entry, slug) = (
                entry(row.get(0)?, name, row.get(2)?, facts),
                fold::slug(name),
            );
            let has_key = entry.name_key == row.get::<&str>(6)? && slug == row.get::<&str>(7)?;
            Ok(Outdated {
                entry,
                slug,
                has_key,
            })
        },
    )
}

/// Writes the key and slug of a product's name into its own row.
pub(in crate::domain::catalog) fn set_name_key(tx: &mut Tx<'_>, product: &Outdated) -> Result<()> {
    let Outdated { entry, slug, .. } = product;
    tx.execute(
        "UPDATE products SET name_key = ?2, slug = ?3 WHERE id = ?1",
        params![entry.product, &entry.name_key, slug],
    )?;
    Ok(())
}

/// Merges the parts in which the engine's index of words was written, so that a question reads one
/// (<https://www.sqlite.org/fts5.html#the_optimize_command>,
/// <https://www.postgresql.org/docs/current/gin.html#GIN-FAST-UPDATE>).
pub(in crate::domain::catalog) fn merge(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute(
        Sql::either(
            "INSERT INTO product_fts (product_fts) VALUES ('optimize')",
            "SELECT gin_clean_pending_list(c.oid) FROM pg_class c
             WHERE c.oid IN (to_regclass('product_search_by_name_words'), to_regclass('product_search_by_words'))
                 AND pg_has_role(c.relowner, 'USAGE')",
        ),
        params![],
    )?;
    Ok(())
}

/// Words that stand in names and share trigrams with this one, those with the most in common first.
pub(in crate::domain::catalog) fn alike(
    tx: &mut Tx<'_>,
    word: &str,
    most: i64,
) -> Result<Vec<String>> {
    let mut trigrams = trigrams(word);
    // Words that are alike share more than the first letter, whose trigram alone finds a great many.
    if trigrams.len() > 3 {
        trigrams.pop_first();
    }
    let mut values: Vec<Value<'_>> = trigrams.iter().map(Value::from).collect();
    values.push(Value::Int(most));
    let sql = format!(
        "SELECT word FROM search_trigrams WHERE trigram IN {} GROUP BY word
         ORDER BY count(*) DESC, word LIMIT ?{}",
        placeholders(trigrams.len(), 1),
        values.len()
    );
    tx.all(&sql, &values, |row| row.get(0))
}
