//! What search finds products by, as rows. The engines only find candidates; which come first is told by
//! the words themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    args,
    catalog::{
        place,
        search::entry,
        store::{
            listing::Filters,
            postings::{self, Found, Wanted},
        },
        words::trigrams,
    },
    db::{Sql, Tx, Value, rows_of},
    error::Result,
    id::{CategoryId, ProductId},
    money::Price,
};

/// What is kept of a product.
pub(in crate::catalog) struct Entry {
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
pub(in crate::catalog) struct Facts {
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
pub(in crate::catalog) fn write(tx: &mut Tx<'_>, mut entries: Vec<Entry>) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    find_keys(tx, &mut entries)?;
    // An index of words is written in runs of rising keys.
    entries.sort_unstable_by_key(|entry| entry.key);
    let is_alone = tx.writes_alone();
    let texts: Vec<[String; 3]> = entries.iter().map(|entry| entry.texts(is_alone)).collect();
    let mut numbers = Vec::new();
    if is_alone {
        let told = entries.iter().zip(&texts);
        let told =
            told.map(|(entry, [_, words, marks])| (entry.product, format!("{words} {marks}")));
        numbers = postings::write(tx, &told.collect::<Vec<_>>())?;
    }
    let mut values: Vec<Value<'_>> = Vec::with_capacity(entries.len() * 7);
    for (at, (entry, texts)) in entries.iter().zip(&texts).enumerate() {
        values.extend([
            Value::Int(entry.key),
            Value::from(entry.product),
            numbers
                .get(at)
                .map_or(Value::Null, |number| Value::Int(*number)),
            Value::from(&entry.name_key),
        ]);
        values.extend(texts.iter().map(Value::from));
    }
    let sql = format!(
        "INSERT INTO product_search (key, product_id, number, name_key, name_words, words, marks) VALUES {}
         ON CONFLICT (product_id) DO UPDATE SET key = excluded.key, number = excluded.number,
             name_key = excluded.name_key, name_words = excluded.name_words, words = excluded.words,
             marks = excluded.marks",
        rows_of(7, entries.len())
    );
    tx.execute(&sql, &values)?;
    // In one order, so that two who add the same words do not wait for each other.
    let words: BTreeSet<&String> = entries.iter().flat_map(|it| &it.words).collect();
    add_words(tx, &words.into_iter().collect::<Vec<_>>())?;
    let names: BTreeSet<&String> = entries.iter().flat_map(|it| &it.name_words).collect();
    names.into_iter().try_for_each(|word| add_word(tx, word))
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
            rows_of(values.len(), 1)
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
            rows_of(1, part.len())
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
    let removed = tx.one(
        "DELETE FROM product_search WHERE product_id = ?1 RETURNING number, words || ' ' || marks",
        args![product],
        |row| Ok((row.get::<Option<i64>>(0)?, row.get::<String>(1)?)),
    )?;
    match removed {
        Some((Some(number), words)) => postings::change(tx, number, &words, ""),
        _ => Ok(()),
    }
}

/// Takes note that a product is sold out, or not any more.
pub(in crate::catalog) fn sold_out(
    tx: &mut Tx<'_>,
    product: ProductId,
    is_sold_out: bool,
) -> Result<()> {
    if tx.writes_alone() {
        postings::sold_out(tx, product, is_sold_out)?;
    }
    Ok(())
}

/// Behind which product words may be missing, or stand under a key from before keys were places.
pub(in crate::catalog) fn last(tx: &mut Tx<'_>) -> Result<Option<ProductId>> {
    let sql = "SELECT product_id FROM product_search
         WHERE NOT EXISTS (SELECT 1 FROM product_search WHERE key < ?1)
         ORDER BY product_id DESC LIMIT 1";
    tx.one(sql, args![place::FIRST], |row| row.get(0))
}

/// What is to be kept of up to `most` products behind `after` that are in the catalog, whose words are yet
/// to be written.
pub(in crate::catalog) fn unwritten(
    tx: &mut Tx<'_>,
    after: ProductId,
    most: i64,
) -> Result<Vec<Entry>> {
    tx.all(
        "SELECT p.id, p.name, p.description, p.category_id, p.price, p.stock FROM products p
         WHERE p.id > ?1 AND p.deleted_at IS NULL AND NOT EXISTS
             (SELECT 1 FROM product_search s WHERE s.product_id = p.id AND s.key >= ?3)
         ORDER BY p.id LIMIT ?2",
        args![after, most, place::FIRST],
        |row| {
            let facts = Facts {
                category: row.get(3)?,
                price: row.get(4)?,
                is_sold_out: row.get::<i64>(5)? == 0,
            };
            Ok(entry(row.get(0)?, row.get(1)?, row.get(2)?, facts))
        },
    )
}

/// Merges the parts in which the engine's index of words was written, so that a question reads one
/// (<https://www.sqlite.org/fts5.html#the_optimize_command>,
/// <https://www.postgresql.org/docs/current/gin.html#GIN-FAST-UPDATE>).
pub(in crate::catalog) fn merge(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute(
        Sql::either(
            "INSERT INTO product_fts (product_fts) VALUES ('optimize')",
            "SELECT gin_clean_pending_list(c.oid) FROM pg_class c
             WHERE c.oid IN (to_regclass('product_search_by_name_words'), to_regclass('product_search_by_words'))
                 AND pg_has_role(c.relowner, 'USAGE')",
        ),
        args![],
    )?;
    Ok(())
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

/// Past so many, words are not named one by one.
const MOST_NAMED: usize = 16;

/// What of a product is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) enum Within {
    Name,
    /// Name and description.
    All,
    /// Name and description, while the name alone does not fit.
    AllButName,
}

/// A question to the engine's index: a product is wanted if every group has a word that begins with one
/// of its words. Each engine reads its own writing of it.
#[derive(Debug, Clone)]
pub(in crate::catalog) struct Question {
    groups: Vec<Vec<String>>,
    /// The mark of the category that it is narrowed to.
    category: Option<String>,
    /// Each [`Within`] has its own.
    sqlite: [String; 3],
    postgres: String,
}

impl Question {
    pub(in crate::catalog) fn new(tx: &mut Tx<'_>, groups: &[Vec<String>]) -> Result<Question> {
        // Words hold letters, digits and marks: nothing of them means anything to either engine.
        let asked: Vec<&String> = groups.iter().flatten().collect();
        let mut named = named(tx, &asked)?.into_iter();
        let (mut sqlite, mut postgres) = (Vec::new(), Vec::new());
        for group in groups {
            let words: Vec<_> = named.by_ref().take(group.len()).collect();
            sqlite.push(format!("({})", words.join(" OR ")));
            let words: Vec<_> = group.iter().map(|word| format!("'{word}':*")).collect();
            postgres.push(format!("({})", words.join(" | ")));
        }
        // The words of a name stand among all, too.
        let all = sqlite.join(" AND ");
        let name = format!("name_words : ({all})");
        let all_but_name = format!("({all}) NOT ({name})");
        Ok(Question {
            groups: groups.to_vec(),
            category: None,
            sqlite: [name, all, all_but_name],
            postgres: postgres.join(" & "),
        })
    }

    /// Asks for products of that category only, where one program writes: others may have left it out.
    pub(in crate::catalog) fn of(mut self, category: CategoryId) -> Question {
        let mark = postings::category(category);
        self.sqlite = self.sqlite.map(|asked| format!("({asked}) AND \"{mark}\""));
        self.category = Some(mark);
        self
    }

    /// Both writings as values; that for `SQLite` says of what.
    pub(in crate::catalog) fn values(&self, within: Within) -> [&str; 2] {
        [&self.sqlite[within as usize], &self.postgres]
    }
}

/// For each word those that begin with it, as `SQLite` is asked for them. Where they are few they are
/// named: of a beginning it gathers all that it finds before it gives the first.
fn named(tx: &mut Tx<'_>, asked: &[&String]) -> Result<Vec<String>> {
    let beginning = |word: &String| format!("\"{word}\" *");
    if !tx.writes_alone() {
        return Ok(asked.iter().map(|word| beginning(word)).collect());
    }
    let behind: Vec<String> = asked
        .iter()
        .map(|word| format!("{word}\u{10ffff}"))
        .collect();
    let mut values: Vec<Value<'_>> = Vec::with_capacity(asked.len() * 2);
    let mut parts = Vec::with_capacity(asked.len());
    for (at, (word, behind)) in asked.iter().zip(&behind).enumerate() {
        values.extend([Value::from(*word), Value::from(behind)]);
        let (least, most) = (at * 2 + 1, at * 2 + 2);
        parts.push(format!(
            "SELECT * FROM (SELECT {at} AS place, word FROM search_words
             WHERE word >= ?{least} AND word < ?{most} ORDER BY word LIMIT {MOST_NAMED} + 1) AS of_{at}"
        ));
    }
    let mut named: Vec<Vec<String>> = vec![Vec::new(); asked.len()];
    tx.each(&parts.join(" UNION ALL "), &values, |row| {
        let at: i64 = row.get(0)?;
        let words = usize::try_from(at).ok().and_then(|at| named.get_mut(at));
        if let Some(words) = words {
            words.push(format!("\"{}\"", row.get::<&str>(1)?));
        }
        Ok(())
    })?;
    let written = asked.iter().zip(named);
    Ok(written
        .map(|(word, named)| {
            if (1..=MOST_NAMED).contains(&named.len()) {
                named.join(" OR ")
            } else {
                beginning(word)
            }
        })
        .collect())
}

/// Whether any product of the catalog fits.
pub(in crate::catalog) fn is_any(tx: &mut Tx<'_>, question: &Question) -> Result<bool> {
    let found = count(tx, question, 1)?;
    Ok(found > 0)
}

/// How many products of the catalog fit, counted up to `most`.
pub(in crate::catalog) fn count(tx: &mut Tx<'_>, question: &Question, most: i64) -> Result<i64> {
    if tx.writes_alone() {
        let found = Wanted::new(&question.groups).find(tx, most)?;
        return Ok(found.count);
    }
    let counted = tx.one(
        "SELECT count(*) FROM (
             SELECT 1 FROM product_search
             WHERE array_to_tsvector(string_to_array(words, ' ')) @@ CAST(CAST(?1 AS TEXT) AS TSQUERY)
             LIMIT ?2
         ) AS found",
        args![&question.postgres, most],
        |row| row.get(0),
    )?;
    Ok(counted.unwrap_or_default())
}

/// Who fits all that is asked, where one program writes.
pub(super) fn find(
    tx: &mut Tx<'_>,
    question: &Question,
    filters: &Filters,
    most: i64,
) -> Result<Found> {
    let wanted = Wanted::new(&question.groups);
    wanted
        .narrowed(filters, question.category.as_deref())
        .find(tx, most)
}
