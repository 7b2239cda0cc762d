//! The prepared statements of a connection, and the locking clauses of their queries.

use std::collections::HashMap;

use tokio_postgres::Statement;

use super::types::with_dollar_placeholders;

/// The maximum number of prepared statements per connection. Beyond it the cache is cleared.
const MAX_STATEMENTS: usize = 512;

/// How a query locks its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Locking {
    None,
    /// Locks the rows of these tables.
    Rows(&'static str),
    /// Like [`Locking::Rows`]. Each locked row reduces `lock_timeout` to what is left of the parameter `timeout`, in
    /// milliseconds: Postgres applies it to each lock, and this way it limits the locks of a transaction
    /// together. A query without a row does not reduce it.
    RowsInTime {
        tables: &'static str,
        timeout: usize,
    },
}

impl Locking {
    /// Returns the text of the statement that runs `query`.
    pub(super) fn statement_text(self, query: &str) -> String {
        let query = with_dollar_placeholders(query);
        match self {
            Locking::None => query,
            Locking::Rows(tables) => format!("{query} FOR NO KEY UPDATE OF {tables}"),
            // The outer query calls the function after the inner one has locked the row.
            Locking::RowsInTime { tables, timeout } => format!(
                "SELECT locked.*, set_config('lock_timeout', greatest(1, CAST(${timeout} AS BIGINT)
                     - CAST(extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000 AS BIGINT)
                     )::text, true)
                 FROM ({query} FOR NO KEY UPDATE OF {tables}) AS locked"
            ),
        }
    }
}

/// The prepared statements, found by their query and its locking, without building their texts.
#[derive(Default)]
pub(super) struct StatementCache {
    statements: HashMap<Locking, HashMap<String, Statement>>,
    len: usize,
}

impl StatementCache {
    pub(super) fn get(&self, query: &str, locking: Locking) -> Option<&Statement> {
        self.statements.get(&locking)?.get(query)
    }

    pub(super) fn insert(&mut self, query: &str, locking: Locking, statement: Statement) {
        if self.len >= MAX_STATEMENTS {
            *self = StatementCache::default();
        }
        let statements = self.statements.entry(locking).or_default();
        statements.insert(query.to_owned(), statement);
        self.len += 1;
    }
}
