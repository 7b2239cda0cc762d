//! What search finds products by, as rows. The engines only find candidates; which come first is told by
//! the words themselves.

use std::collections::BTreeSet;

use crate::{
    args,
    catalog::words::trigrams,
    db::{Sql, Tx, Value, rows_of},
    error::Result,
    id::ProductId,
};

/// What is kept of a product.
pub(in crate::catalog) struct Entry {
    pub product: ProductId,
    pub name_words: Vec<String>,
    /// Those of the name among them.
    pub words: Vec<String>,
}

/// Writes entries, all in one statement, in the place of earlier ones.
pub(in crate::catalog) fn write(tx: &mut Tx<'_>, entries: &[Entry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let texts: Vec<(String, String)> = entries
        .iter()
        .map(|entry| (entry.name_words.join(" "), entry.words.join(" ")))
        .collect();
    let mut values: Vec<Value<'_>> = Vec::with_capacity(entries.len() * 3);
    for (entry, (name_words, words)) in entries.iter().zip(&texts) {
        values.extend([
            Value::from(entry.product),
            Value::from(name_words),
            Value::from(words),
        ]);
    }
    let sql = format!(
        "INSERT INTO product_search (product_id, name_words, words) VALUES {}
         ON CONFLICT (product_id) DO UPDATE
         SET name_words = excluded.name_words, words = excluded.words",
        rows_of(3, entries.len())
    );
    tx.execute(&sql, &values)?;
    // In one order, so that two who add the same words do not wait for each other.
    let names: BTreeSet<&String> = entries.iter().flat_map(|it| &it.name_words).collect();
    names.into_iter().try_for_each(|word| add_word(tx, word))
}

/// Makes a word known to those that are spelt alike.
fn add_word(tx: &mut Tx<'_>, word: &str) -> Result<()> {
    let trigrams = trigrams(word);
    let Some(first) = trigrams.first() else {
        return Ok(());
    };
    let known = tx.one(
        "SELECT 1 FROM search_trigrams WHERE trigram = ?1 AND word = ?2",
        args![first, word],
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
        rows_of(2, trigrams.len())
    );
    tx.execute(&sql, &values).map(drop)
}

pub(in crate::catalog) fn remove(tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
    tx.execute(
        "DELETE FROM product_search WHERE product_id = ?1",
        args![product],
    )?;
    Ok(())
}

/// The last product whose words are kept.
pub(in crate::catalog) fn last(tx: &mut Tx<'_>) -> Result<Option<ProductId>> {
    tx.one(
        "SELECT product_id FROM product_search ORDER BY product_id DESC LIMIT 1",
        &[],
        |row| row.get(0),
    )
}

/// Up to `most` products behind `after` that are in the catalog, with their names and descriptions.
pub(in crate::catalog) fn texts(
    tx: &mut Tx<'_>,
    after: ProductId,
    most: i64,
) -> Result<Vec<(ProductId, String, String)>> {
    tx.all(
        "SELECT id, name, description FROM products
         WHERE id > ?1 AND deleted_at IS NULL ORDER BY id LIMIT ?2",
        args![after, most],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// Words that stand in names and share trigrams with this one, those with the most in common first.
pub(in crate::catalog) fn alike(tx: &mut Tx<'_>, word: &str, most: i64) -> Result<Vec<String>> {
    let trigrams = trigrams(word);
    let mut values: Vec<Value<'_>> = trigrams.iter().map(Value::from).collect();
    values.push(Value::Int(most));
    let sql = format!(
        "SELECT word FROM search_trigrams WHERE trigram IN {} GROUP BY word
         ORDER BY count(*) DESC, word LIMIT ?{}",
        rows_of(trigrams.len(), 1),
        values.len()
    );
    tx.all(&sql, &values, |row| row.get(0))
}

/// A question to the engine's index: a product is wanted if every group has a word that begins with one
/// of its words. Each engine reads its own writing of it.
#[derive(Debug, Clone)]
pub(in crate::catalog) struct Question {
    sqlite: String,
    postgres: String,
}

impl Question {
    pub(in crate::catalog) fn new(groups: &[Vec<String>]) -> Question {
        // Words hold letters, digits and marks: nothing of them means anything to either engine.
        let written = |word: &dyn Fn(&str) -> String, or: &str, and: &str| {
            let group = |words: &Vec<String>| {
                let words: Vec<_> = words.iter().map(|text| word(text)).collect();
                format!("({})", words.join(or))
            };
            groups.iter().map(group).collect::<Vec<_>>().join(and)
        };
        Question {
            sqlite: written(&|word| format!("\"{word}\" *"), " OR ", " AND "),
            postgres: written(&|word| format!("'{word}':*"), " | ", " & "),
        }
    }

    /// Both writings as values: for `SQLite`, of the words in that column.
    pub(in crate::catalog) fn values(&self, column: &str) -> [String; 2] {
        [
            format!("{column} : ({})", self.sqlite),
            self.postgres.clone(),
        ]
    }
}

/// Whether any product of the catalog fits.
pub(in crate::catalog) fn is_any(tx: &mut Tx<'_>, question: &Question) -> Result<bool> {
    let found = count(tx, question, 1)?;
    Ok(found > 0)
}

/// How many products of the catalog fit, counted up to `most`.
pub(in crate::catalog) fn count(tx: &mut Tx<'_>, question: &Question, most: i64) -> Result<i64> {
    let [one, other] = question.values("words");
    // Each engine knows both values, and needs one.
    let counted = tx.one(
        Sql::either(
            "SELECT count(*) FROM (
                 SELECT 1 FROM product_fts WHERE product_fts MATCH ?1 AND ?2 <> '' LIMIT ?3
             ) AS found",
            "SELECT count(*) FROM (
                 SELECT 1 FROM product_search
                 WHERE array_to_tsvector(string_to_array(words, ' ')) @@ CAST(CAST(?2 AS TEXT) AS TSQUERY)
                     AND CAST(?1 AS TEXT) <> '' LIMIT ?3
             ) AS found",
        ),
        args![&one, &other, most],
        |row| row.get(0),
    )?;
    Ok(counted.unwrap_or_default())
}
