//! The writer's connection with the statements that it runs again and again, kept ready. They stay where
//! they are: the connection's own cache would take each out and put it back with a copy of its text, at
//! every use, which costs a write of many small statements a tenth of its time.

use std::{collections::HashMap, time::Duration};

use rusqlite::{PrepFlags, Statement};
use tokio_util::sync::CancellationToken;

use super::connection::{check_transaction, execute, failure, is_failed_sync, query};
use crate::{
    core::error::{Error, Result},
    infra::db::{Connection, Row, Sql, Value},
};

/// Past so many it begins anew: texts that are written for one use would fill it.
const MOST: usize = 512;

pub(super) struct Writing<'c> {
    pub(super) connection: &'c rusqlite::Connection,
    places: HashMap<String, usize>,
    statements: Vec<Statement<'c>>,
    /// See [`crate::infra::db::Db::failed`].
    failed: CancellationToken,
    /// Whether it was this connection's own sync that failed.
    is_broken: bool,
}

impl<'c> Writing<'c> {
    pub(super) fn new(connection: &'c rusqlite::Connection, failed: CancellationToken) -> Self {
        Writing {
            connection,
            places: HashMap::new(),
            statements: Vec::new(),
            failed,
            is_broken: false,
        }
    }

    /// Whether a sync has failed: nothing may touch the file any more.
    pub(super) fn has_failed(&self) -> bool {
        self.is_broken || self.failed.is_cancelled()
    }

    /// Begins a transaction, waiting so long for the lock of another program.
    pub(super) fn begin(&mut self, wait: Duration) -> Result<()> {
        self.connection.busy_timeout(wait).map_err(failure)?;
        self.rule("BEGIN IMMEDIATE")
    }

    /// Errors: a sync failed at a statement before.
    fn check(&self) -> Result<()> {
        check_transaction(self.connection)?;
        if self.is_broken {
            return Err(stopped());
        }
        Ok(())
    }

    /// Notices where a sync has failed.
    fn watch<T>(&mut self, done: Result<T>) -> Result<T> {
        if let Err(error) = &done
            && is_failed_sync(error)
        {
            self.is_broken = true;
            report_failed_sync(&self.failed, error);
        }
        done
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
        if self.has_failed() {
            return Err(stopped());
        }
        let done = query(self.statement(sql)?, &[], each);
        self.watch(done)
    }

    /// Runs one of the statements that rule transactions.
    pub(super) fn rule(&mut self, sql: &str) -> Result<()> {
        if self.has_failed() {
            return Err(stopped());
        }
        let done = self.statement(sql)?.raw_execute();
        self.watch(done.map(drop).map_err(failure))
    }
}

impl Connection for Writing<'_> {
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64> {
        self.check()?;
        let done = execute(self.statement(sql.sqlite())?, args);
        self.watch(done)
    }

    fn query(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        self.check()?;
        let done = query(self.statement(sql.sqlite())?, args, each);
        self.watch(done)
    }

    fn is_single_writer(&self) -> bool {
        true
    }
}

/// Ends all writing after a failed sync, and logs why, once.
pub(super) fn report_failed_sync(failed: &CancellationToken, error: &Error) {
    if failed.is_cancelled() {
        return;
    }
    tracing::error!(
        ?error,
        "fsync failed: the disk may have lost what was written; no more is written, since another fsync \
         could succeed without it; check the disk, then start again"
    );
    failed.cancel();
}

fn stopped() -> Error {
    Error::unavailable("the database takes no writes, since the disk has failed")
}
