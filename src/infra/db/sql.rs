//! SQL statements: one portable text, with explicit variants where the engines differ.

use std::fmt::Write;

/// A statement. Placeholders are `?1`, `?2` …; the Postgres engine rewrites them to `$1`, `$2` …. (`$1` is
/// not portable: `SQLite` treats it as a named parameter and numbers it by first occurrence.)
#[derive(Debug, Clone, Copy)]
pub struct Sql<'a> {
    sqlite: &'a str,
    postgres: &'a str,
    locked_tables: Option<&'static str>,
}

impl<'a> Sql<'a> {
    /// Returns a statement with a different text for each engine.
    pub fn either(sqlite: &'a str, postgres: &'a str) -> Self {
        Sql {
            sqlite,
            postgres,
            locked_tables: None,
        }
    }

    /// Locks the selected rows of `tables` until the end of the transaction (`FOR NO KEY UPDATE OF tables`).
    /// No effect in a read or on `SQLite`, where a single writer serializes all writes.
    ///
    /// Rows are locked in the query's order, and for each result row in the order of `tables`. After waiting
    /// for a lock, Postgres re-reads only the locked rows; columns of other joined tables come from the
    /// original snapshot.
    #[must_use]
    pub fn for_update(mut self, tables: &'static str) -> Self {
        self.locked_tables = Some(tables);
        self
    }

    pub(crate) fn sqlite(self) -> &'a str {
        self.sqlite
    }

    pub(crate) fn postgres(self) -> &'a str {
        self.postgres
    }

    pub(crate) fn locked_tables(self) -> Option<&'static str> {
        self.locked_tables
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

/// Returns the placeholders of a multi-row VALUES clause: `(?1,?2),(?3,?4)`.
pub fn placeholders(columns: usize, rows: usize) -> String {
    let mut text = String::with_capacity(columns * rows * 5);
    for number in 1..=columns * rows {
        let starts_row = (number - 1) % columns == 0;
        text.push_str(match (starts_row, number) {
            (_, 1) => "(?",
            (true, _) => "),(?",
            (false, _) => ",?",
        });
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{number}");
    }
    text.push(')');
    text
}
