//! A question for products: conditions with their values, put together step by step, and asked of the
//! table or of the index of words.

use super::{
    CATEGORY, COLUMNS,
    listing::Show,
    question::{Question, Within},
};
use crate::{
    core::{error::Result, id::ProductId},
    infra::db::{Sql, Tx, Value},
};

/// The index of words, first of all, whatever else there is to go by: on `SQLite`, and on `Postgres`. The
/// latter is where `SQLite` looks, too, if it is told the numbers of what fits.
const INDEX: [&str; 2] = [
    "FROM product_fts CROSS JOIN product_search s ON s.key = product_fts.rowid",
    "FROM product_search s",
];

/// The products behind something, which comes first.
const PRODUCTS: [&str; 2] = [
    "CROSS JOIN products p ON p.id =",
    "JOIN products p ON p.id =",
];

/// The key of a product there, wherever a text says `{key}`. `SQLite` finds in the order of keys; `Postgres`
/// is told a sum, or it would look through all of them for the first that fit.
const KEY: [&str; 2] = ["product_fts.rowid", "(s.key + 0)"];

#[derive(Debug, Clone)]
pub(super) struct Query<'a> {
    /// What each engine asks of the index of words, if it is asked at all.
    found: Option<[String; 2]>,
    /// Whether `SQLite` is told the numbers of what fits instead.
    is_told: bool,
    conditions: String,
    values: Vec<Value<'a>>,
    is_narrowed: bool,
}

impl<'a> Query<'a> {
    /// For all products of the catalog.
    pub(super) fn new() -> Self {
        Query {
            found: None,
            is_told: false,
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

    /// Narrows what the index of words finds, by what is kept there.
    pub(super) fn narrow_found(&mut self, condition: &str) {
        for fits in self.found.iter_mut().flatten() {
            fits.push_str(" AND ");
            fits.push_str(condition);
        }
    }

    /// Leaves products out, here and where the index of words is asked.
    pub(super) fn without(&mut self, products: &[ProductId]) {
        if products.is_empty() {
            return;
        }
        let places: Vec<_> = products.iter().map(|id| self.value(*id)).collect();
        let places = places.join(", ");
        if self.found.is_some() {
            self.narrow_found(&format!("s.product_id NOT IN ({places})"));
        } else {
            self.narrow(&format!("p.id NOT IN ({places})"));
        }
    }

    /// Narrows to these products; there must be some.
    pub(super) fn only(&mut self, products: &[ProductId]) {
        let places: Vec<_> = products.iter().map(|id| self.value(*id)).collect();
        self.narrow(&format!("p.id IN ({})", places.join(", ")));
    }

    /// The order of these products, for `rows`.
    pub(super) fn in_order_of(&mut self, products: &[ProductId]) -> String {
        let places: Vec<_> = (0..)
            .zip(products)
            .map(|(at, id): (i32, _)| format!("WHEN {} THEN {at}", self.value(*id)))
            .collect();
        format!("ORDER BY CASE p.id {} END", places.join(" "))
    }

    /// The ids that the index of words finds, in any order.
    pub(super) fn ids(&self, tx: &mut Tx<'_>) -> Result<Vec<ProductId>> {
        let statement = self.statement("SELECT s.product_id", "", "", self.is_narrowed);
        tx.all(statement.sql(), &self.values, |row| row.get(0))
    }

    pub(super) fn conditions(&self) -> &str {
        &self.conditions
    }

    /// Finds what fits by the index of words.
    pub(super) fn found(mut self, question: &'a Question, within: Within) -> Self {
        let [one, other] = question.values(within);
        let (one, other) = (self.value(one), self.value(other));
        let fits = |column: &str| {
            format!(
                "array_to_tsvector(string_to_array(s.{column}, ' ')) @@ CAST(CAST({other} AS TEXT) AS TSQUERY)"
            )
        };
        let (name, all) = (fits("name_words"), fits("words"));
        let fits = match within {
            Within::Name => name,
            Within::All => all,
            Within::AllButName => format!("{all} AND NOT {name}"),
        };
        // Each engine knows both values, and needs one.
        self.found = Some([
            format!("product_fts MATCH {one} AND {other} <> ''"),
            format!("{fits} AND CAST({one} AS TEXT) <> ''"),
        ]);
        self
    }

    /// Finds, among the products with these numbers, a JSON array, which fit the words by one of the patterns
    /// for every group.
    pub(super) fn among(
        mut self,
        numbers: &'a str,
        patterns: &'a [Vec<String>],
        within: Within,
    ) -> Self {
        let numbers = self.value(numbers);
        let mut fits = format!("s.number IN (SELECT value FROM json_each({numbers}))");
        match within {
            Within::All => {}
            Within::Name => fits = format!("{fits} AND {}", self.like("s.name_words", patterns)),
            Within::AllButName => {
                fits = format!("{fits} AND NOT ({})", self.like("s.name_words", patterns));
            }
        }
        self.found = Some([fits.clone(), fits]);
        self.is_told = true;
        self
    }

    /// Of what the index of words finds, the key that has so many before it.
    pub(super) fn key_behind(&self, tx: &mut Tx<'_>, before: i64) -> Result<Option<i64>> {
        let mut query = self.clone();
        let tail = format!("ORDER BY {{key}} LIMIT 1 OFFSET {}", query.value(before));
        let statement = query.statement("SELECT {key}", "", &tail, query.is_narrowed);
        tx.one(statement.sql(), &query.values, |row| row.get(0))
    }

    /// Looks at the words of each product on the way, for every group one of its patterns.
    pub(super) fn with_words(mut self, patterns: &'a [Vec<String>]) -> Self {
        let words = self.like("s.words", patterns);
        self.narrow(&format!(
            "EXISTS (SELECT 1 FROM product_search s WHERE s.product_id = p.id AND {words})"
        ));
        self
    }

    /// That words are, for every group, like one of its patterns.
    fn like(&mut self, words: &str, patterns: &'a [Vec<String>]) -> String {
        let groups: Vec<_> = patterns
            .iter()
            .map(|group| {
                let any: Vec<_> = group
                    .iter()
                    .map(|pattern| format!("(' ' || {words}) LIKE {}", self.value(pattern)))
                    .collect();
                format!("({})", any.join(" OR "))
            })
            .collect();
        groups.join(" AND ")
    }

    /// The whole statement, for each engine where they differ. What the index of words finds is in the
    /// catalog: its products are only looked at where they are narrowed or read.
    fn statement(&self, head: &str, joins: &str, tail: &str, reads_products: bool) -> Statement {
        let conditions = &self.conditions;
        match &self.found {
            // This one is written for most requests of all.
            None => {
                let parts = [
                    head,
                    " FROM products p ",
                    joins,
                    " WHERE ",
                    conditions,
                    " ",
                    tail,
                ];
                Statement::Shared(parts.concat())
            }
            Some(found) => Statement::Either([0, 1].map(|engine| {
                let fits = &found[engine];
                let place = if self.is_told { 1 } else { engine };
                let (index, key) = (INDEX[place], KEY[place]);
                let text = if reads_products {
                    let products = format!("{} s.product_id", PRODUCTS[engine]);
                    format!(
                        "{head} {index} {products} {joins} WHERE {fits} AND {conditions} {tail}"
                    )
                } else {
                    format!("{head} {index} WHERE {fits} {tail}")
                };
                text.replace("{key}", key)
            })),
        }
    }

    /// How many there are, counted up to `most`.
    pub(super) fn count(&self, tx: &mut Tx<'_>, most: i64) -> Result<i64> {
        let tail = format!("LIMIT {most}) AS counted");
        let head = "SELECT count(*) FROM (SELECT 1";
        let statement = self.statement(head, "", &tail, self.is_narrowed);
        let counted = tx.one(statement.sql(), &self.values, |row| row.get(0))?;
        Ok(counted.unwrap_or_default())
    }

    /// Hands over what the index of words finds in the order of names, and tells how many there were.
    pub(super) fn found_rows(
        mut self,
        tx: &mut Tx<'_>,
        limit: i64,
        offset: i64,
        show: Show<'_>,
    ) -> Result<i64> {
        let (limit, offset) = (self.value(limit), self.value(offset));
        let tail = format!("ORDER BY s.name_key, s.product_id LIMIT {limit} OFFSET {offset}");
        let head = "SELECT s.product_id AS id, s.name_key AS name_key";
        let inner = self.statement(head, "", &tail, self.is_narrowed);
        let inner = [inner.sql().sqlite(), inner.sql().postgres()];
        let texts = [0, 1].map(|engine| {
            let (found, products) = (inner[engine], PRODUCTS[engine]);
            format!(
                "SELECT {COLUMNS} FROM ({found}) AS found {products} found.id {CATEGORY}
                 ORDER BY found.name_key, found.id"
            )
        });
        self.shown(tx, &Statement::Either(texts), show)
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
        let statement = self.statement(&format!("SELECT {COLUMNS}"), CATEGORY, &tail, true);
        self.shown(tx, &statement, show)
    }

    fn shown(&self, tx: &mut Tx<'_>, statement: &Statement, show: Show<'_>) -> Result<i64> {
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
