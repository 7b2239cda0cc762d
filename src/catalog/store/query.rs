//! A question for products: conditions with their values, put together step by step, and asked of the
//! table or of the index of words.

use super::{CATEGORY, COLUMNS, listing::Show};
use crate::{
    db::{Sql, Tx, Value},
    error::Result,
};

/// The index of words, first of all, whatever else there is to go by: on `SQLite`, and on `Postgres`.
const INDEX: [&str; 2] = [
    "FROM product_fts CROSS JOIN product_search s ON s.key = product_fts.rowid
     CROSS JOIN products p ON p.id = s.product_id",
    "FROM product_search s JOIN products p ON p.id = s.product_id",
];

#[derive(Debug, Clone)]
pub(super) struct Query<'a> {
    /// What each engine asks of the index of words, if it is asked at all.
    found: Option<[String; 2]>,
    conditions: String,
    values: Vec<Value<'a>>,
    is_narrowed: bool,
}

impl<'a> Query<'a> {
    /// For all products of the catalog.
    pub(super) fn new() -> Self {
        Query {
            found: None,
            conditions: "p.deleted_at IS NULL".to_owned(),
            values: Vec::new(),
            is_narrowed: false,
        }
    }

    /// Keeps a value and gives its placeholder.
    pub(super) fn value(&mut self, value: impl Into<Value<'a>>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    pub(super) fn narrow(&mut self, condition: &str) {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
        self.is_narrowed = true;
    }

    /// Narrows by a comparison with a value.
    pub(super) fn and(&mut self, comparison: &str, value: impl Into<Value<'a>>) {
        let place = self.value(value);
        self.narrow(&format!("{comparison} {place}"));
    }

    /// Whether anything but being in the catalog is asked.
    pub(super) fn is_narrowed(&self) -> bool {
        self.is_narrowed
    }

    pub(super) fn conditions(&self) -> &str {
        &self.conditions
    }

    /// Finds what fits by the index of words. `questions` is what is asked of `column`, as either engine
    /// writes it.
    pub(super) fn found(mut self, column: &str, questions: &'a [String; 2]) -> Self {
        let [one, other] = questions;
        let (one, other) = (self.value(one), self.value(other));
        // Each engine knows both values, and needs one.
        self.found = Some([
            format!("product_fts MATCH {one} AND {other} <> ''"),
            format!(
                "array_to_tsvector(string_to_array(s.{column}, ' ')) @@ CAST(CAST({other} AS TEXT) AS TSQUERY)
                  AND CAST({one} AS TEXT) <> ''"
            ),
        ]);
        self
    }

    /// Looks at the words of each product on the way, for every group one of its patterns.
    pub(super) fn with_words(
        mut self,
        column: &str,
        patterns: &'a [Vec<String>],
        fit: bool,
    ) -> Self {
        let words = self.words(column, patterns);
        let not = if fit { "" } else { "NOT " };
        self.narrow(&format!(
            "{not}EXISTS (SELECT 1 FROM product_search s WHERE s.product_id = p.id AND {words})"
        ));
        self
    }

    /// That the words of `s` fit the patterns.
    pub(super) fn words(&mut self, column: &str, patterns: &'a [Vec<String>]) -> String {
        let groups: Vec<_> = patterns
            .iter()
            .map(|group| {
                let any: Vec<_> = group
                    .iter()
                    .map(|pattern| {
                        let place = self.value(pattern);
                        format!("(' ' || s.{column}) LIKE {place}")
                    })
                    .collect();
                format!("({})", any.join(" OR "))
            })
            .collect();
        groups.join(" AND ")
    }

    /// The whole statement, for each engine where they differ.
    fn statement(&self, head: &str, joins: &str, tail: &str) -> Statement {
        let conditions = &self.conditions;
        match &self.found {
            None => Statement::Shared(format!(
                "{head} FROM products p {joins} WHERE {conditions} {tail}"
            )),
            Some(found) => Statement::Either([0, 1].map(|engine| {
                let (index, fits) = (INDEX[engine], &found[engine]);
                format!("{head} {index} {joins} WHERE {conditions} AND {fits} {tail}")
            })),
        }
    }

    /// How many there are, counted up to `most`.
    pub(super) fn count(&self, tx: &mut Tx<'_>, most: i64) -> Result<i64> {
        let tail = format!("LIMIT {most}) AS counted");
        let statement = self.statement("SELECT count(*) FROM (SELECT 1", "", &tail);
        let counted = tx.one(statement.sql(), &self.values, |row| row.get(0))?;
        Ok(counted.unwrap_or_default())
    }

    /// Hands rows over in an order, and tells how many there were.
    pub(super) fn rows(
        mut self,
        tx: &mut Tx<'_>,
        order: &str,
        limit: i64,
        offset: i64,
        show: Show<'_>,
    ) -> Result<i64> {
        let mut tail = format!("{order} LIMIT {}", self.value(limit));
        if offset > 0 {
            tail = format!("{tail} OFFSET {}", self.value(offset));
        }
        let statement = self.statement(&format!("SELECT {COLUMNS}"), CATEGORY, &tail);
        let mut shown = 0;
        tx.each(statement.sql(), &self.values, |row| {
            shown += 1;
            show(row)
        })?;
        Ok(shown)
    }
}

/// A text that both engines take, or one for each.
enum Statement {
    Shared(String),
    Either([String; 2]),
}

impl Statement {
    fn sql(&self) -> Sql<'_> {
        match self {
            Statement::Shared(text) => Sql::from(text),
            Statement::Either([sqlite, postgres]) => Sql::either(sqlite, postgres),
        }
    }
}
