//! What is asked of the engine's index of words, and how many fit.

use super::{
    listing::Filters,
    postings::{self, Found, Wanted},
};
use crate::{
    core::{error::Result, id::CategoryId},
    infra::db::{Tx, Value, params},
};

/// Past so many, words are not named one by one.
const MOST_NAMED: usize = 16;

/// What of a product is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain::catalog) enum Within {
    Name,
    /// Name and description.
    All,
    /// Name and description, while the name alone does not fit.
    AllButName,
}

/// A question to the engine's index: a product is wanted if every group has a word that begins with one
/// of its words. Each engine reads its own writing of it.
#[derive(Debug, Clone)]
pub(in crate::domain::catalog) struct Question {
    groups: Vec<Vec<String>>,
    /// The mark of the category that it is narrowed to.
    category: Option<String>,
    /// Each [`Within`] has its own.
    sqlite: [String; 3],
    postgres: String,
}

impl Question {
    pub(in crate::domain::catalog) fn new(
        tx: &mut Tx<'_>,
        groups: &[Vec<String>],
    ) -> Result<Question> {
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
    pub(in crate::domain::catalog) fn of(mut self, category: CategoryId) -> Question {
        let mark = postings::category(category);
        self.sqlite = self.sqlite.map(|asked| format!("({asked}) AND \"{mark}\""));
        self.category = Some(mark);
        self
    }

    /// Both expressions as values; the one for `SQLite` names the columns that it searches.
    pub(in crate::domain::catalog) fn values(&self, within: Within) -> [&str; 2] {
        [&self.sqlite[within as usize], &self.postgres]
    }
}

/// For each word those that begin with it, as `SQLite` is asked for them. Where they are few they are
/// named: of a beginning it gathers all that it finds before it gives the first.
fn named(tx: &mut Tx<'_>, asked: &[&String]) -> Result<Vec<String>> {
    let beginning = |word: &String| format!("\"{word}\" *");
    if !tx.is_single_writer() {
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
pub(in crate::domain::catalog) fn is_any(tx: &mut Tx<'_>, question: &Question) -> Result<bool> {
    let found = count(tx, question, 1)?;
    Ok(found > 0)
}

/// How many products of the catalog fit, counted up to `most`.
pub(in crate::domain::catalog) fn count(
    tx: &mut Tx<'_>,
    question: &Question,
    most: i64,
) -> Result<i64> {
    if tx.is_single_writer() {
        let found = Wanted::new(&question.groups).find(tx, most)?;
        return Ok(found.count);
    }
    let counted = tx.one(
        "SELECT count(*) FROM (
             SELECT 1 FROM product_search
             WHERE array_to_tsvector(string_to_array(words, ' ')) @@ CAST(CAST(?1 AS TEXT) AS TSQUERY)
             LIMIT ?2
         ) AS found",
        params![&question.postgres, most],
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
