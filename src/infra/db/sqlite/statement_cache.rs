//! A cache of prepared statements for the writer.
//!
//! rusqlite's own cache removes a statement at each use and re-inserts it with a copy of its SQL text. For
//! transactions of many small statements that costs a tenth of their time, so this cache keeps the statements
//! in place.

use std::collections::HashMap;

use rusqlite::{PrepFlags, Statement};

use super::connection::failure;
use crate::core::error::Result;

/// The maximum number of statements. Beyond it the cache is cleared, since generated texts would fill it.
const MAX_STATEMENTS: usize = 512;

pub(super) struct StatementCache<'c> {
    connection: &'c rusqlite::Connection,
    /// The index into `statements` by SQL text.
    index: HashMap<String, usize>,
    statements: Vec<Statement<'c>>,
}

impl<'c> StatementCache<'c> {
    pub(super) fn new(connection: &'c rusqlite::Connection) -> Self {
        StatementCache {
            connection,
            index: HashMap::new(),
            statements: Vec::new(),
        }
    }

    /// Returns the prepared statement of `sql`.
    pub(super) fn get(&mut self, sql: &str) -> Result<&mut Statement<'c>> {
        let index = match self.index.get(sql) {
            Some(index) => *index,
            None => self.prepare(sql)?,
        };
        Ok(&mut self.statements[index])
    }

    fn prepare(&mut self, sql: &str) -> Result<usize> {
        let statement = self
            .connection
            .prepare_with_flags(sql, PrepFlags::SQLITE_PREPARE_PERSISTENT)
            .map_err(failure)?;
        if self.statements.len() >= MAX_STATEMENTS {
            self.index.clear();
            self.statements.clear();
        }
        let index = self.statements.len();
        self.statements.push(statement);
        self.index.insert(sql.to_owned(), index);
        Ok(index)
    }
}
