//! Statements: one text for every engine, and the few marks by which one of them may do it its way.

use std::fmt::Write;

/// A statement. Placeholders are `?1`, `?2` … (never `$1`: `SQLite` would number those by where they
/// first stand).
#[derive(Debug, Clone, Copy)]
pub struct Sql<'a> {
    sqlite: &'a str,
    postgres: &'a str,
    locked: Option<&'static str>,
}

impl<'a> Sql<'a> {
    /// Two texts, where the engines cannot share one.
    pub fn either(sqlite: &'a str, postgres: &'a str) -> Self {
        Sql {
            sqlite,
            postgres,
            locked: None,
        }
    }

    /// Keeps the rows of the named tables for this transaction until its end, in one that writes; they
    /// are waited for in this order. What the statement joins of other tables is as it was before the
    /// wait. Where a single writer has the database to itself there is nothing to do.
    #[must_use]
    pub fn for_update(mut self, tables: &'static str) -> Self {
        self.locked = Some(tables);
        self
    }

    pub(crate) fn sqlite(self) -> &'a str {
        self.sqlite
    }

    pub(crate) fn postgres(self) -> &'a str {
        self.postgres
    }

    pub(crate) fn locked(self) -> Option<&'static str> {
        self.locked
    }
}

impl<'a> From<&'a str> for Sql<'a> {
    fn from(text: &'a str) -> Self {
        Sql::either(text, text)
    }
}

impl<'a> From<&'a String> for Sql<'a> {
    fn from(text: &'a String) -> Self {
        Sql::either(text, text)
    }
}

/// The placeholders of `rows` rows of `columns` values each: `(?1,?2),(?3,?4)`.
pub fn placeholders(columns: usize, rows: usize) -> String {
    let mut text = String::with_capacity(columns * rows * 5);
    for place in 1..=columns * rows {
        let begins_row = (place - 1) % columns == 0;
        text.push_str(match (begins_row, place) {
            (_, 1) => "(?",
            (true, _) => "),(?",
            (false, _) => ",?",
        });
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{place}");
    }
    text.push(')');
    text
}
