//! The writer's connection with the statements that it runs again and again, kept ready. They stay where
//! they are: the connection's own cache would take each out and put it back with a copy of its text, at
//! every use, which costs a write of many small statements a tenth of its time.

use std::collections::HashMap;

use rusqlite::{PrepFlags, Statement};

use super::connection::{check_transaction, execute, failure, query};
use crate::{
    db::{Connection, Row, Sql, Value},
    error::Result,
};

/// Past so many it begins anew: texts that are written for one use would fill it.
const MOST: usize = 512;

pub(super) struct Writing<'c> {
    pub(super) connection: &'c rusqlite::Connection,
    places: HashMap<String, usize>,
    statements: Vec<Statement<'c>>,
}

impl<'c> Writing<'c> {
    pub(super) fn new(connection: &'c rusqlite::Connection) -> Self {
        Writing {
            connection,
            places: HashMap::new(),
            statements: Vec::new(),
        }
    }

    fn statement(&mut self, sql: &str) -> Result<&mut Statement<'c>> {
        let place = match self.places.get(sql) {
            Some(place) => *place,
            None => self.prepare(sql)?,
        };
        Ok(&mut self.statements[place])
    }

    fn prepare(&mut self, sql: &str) -> Result<usize> {
        let statement = self
            .connection
            .prepare_with_flags(sql, PrepFlags::SQLITE_PREPARE_PERSISTENT)
            .map_err(failure)?;
        if self.statements.len() >= MOST {
            self.places.clear();
            self.statements.clear();
        }
        let place = self.statements.len();
        self.statements.push(statement);
        self.places.insert(sql.to_owned(), place);
        Ok(place)
    }

    /// Asks something outside any transaction.
    pub(super) fn ask(
        &mut self,
        sql: &str,
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        query(self.statement(sql)?, &[], each)
    }

    /// Runs one of the statements that rule transactions.
    pub(super) fn rule(&mut self, sql: &str) -> Result<()> {
        self.statement(sql)?
            .raw_execute()
            .map(drop)
            .map_err(failure)
    }
}

impl Connection for Writing<'_> {
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64> {
        check_transaction(self.connection)?;
        execute(self.statement(sql.sqlite())?, args)
    }

    fn query(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        check_transaction(self.connection)?;
        query(self.statement(sql.sqlite())?, args, each)
    }

    fn writes_alone(&self) -> bool {
        true
    }
}
