//! A connection and its current transaction.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use postgres::{Client, Statement, fallible_iterator::FallibleIterator, types::ToSql};

use super::{
    Target,
    errors::{TIMED_OUT, TxError, failure, is_conflict, is_connection_lost},
    types::with_dollar_placeholders,
};
use crate::{
    core::error::{Error, Result},
    infra::db::{Access, Connection, Row, Sql, Value},
};

/// The maximum number of prepared statements per connection. Beyond it the cache is cleared.
const MAX_STATEMENTS: usize = 512;

/// The settings that writing connections override, whatever the server's or role's defaults are. With
/// `synchronous_commit = off` a crash would lose commits that were already acknowledged and published.
pub(super) const REQUIRED_SETTINGS: &str = "
    SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off'";

/// How to open the connections of a pool.
pub(in crate::infra::db) struct ConnectionSettings {
    pub(in crate::infra::db) target: Arc<Target>,
    pub(in crate::infra::db) statement_timeout: Duration,
    pub(in crate::infra::db) lock_timeout: Duration,
    /// Whether all statements look rows up by key. Then the planner is restricted to generic index plans:
    /// each statement is planned once, and a table that was small at that time does not leave a sequential
    /// scan in the cached plan.
    pub(in crate::infra::db) is_keyed: bool,
}

/// The state of the current transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// BEGIN was not sent yet: an operation without a statement costs no round trip.
    NotBegun,
    Open,
    /// A single statement ran as the whole transaction ([`crate::infra::db::Tx::at_once`]).
    Autocommitted,
}

pub(in crate::infra::db) struct PgConnection {
    client: Client,
    statements: HashMap<String, Statement>,
    access: Access,
    /// The deadline of a long read with its own timeout.
    deadline: Option<Instant>,
    /// The transaction's own `lock_timeout`, if shorter than the connection's.
    lock_timeout: Option<Duration>,
    state: State,
    tx_error: Option<TxError>,
}

impl PgConnection {
    pub(super) fn open(settings: &ConnectionSettings) -> Result<PgConnection> {
        let mut client = settings.target.connect()?;
        let planner = if settings.is_keyed {
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
             SET enable_hashjoin = off; SET enable_mergejoin = off;"
        } else {
            ""
        };
        let set = format!(
            "SET statement_timeout = {}; SET lock_timeout = {};
             SET idle_in_transaction_session_timeout = 60000; SET jit = off;
             {planner} {REQUIRED_SETTINGS}",
            settings.statement_timeout.as_millis(),
            settings.lock_timeout.as_millis()
        );
        client.batch_execute(&set).map_err(|e| failure(&e))?;
        Ok(PgConnection {
            client,
            statements: HashMap::new(),
            access: Access::Read,
            deadline: None,
            lock_timeout: None,
            state: State::NotBegun,
            tx_error: None,
        })
    }

    /// Returns whether the connection must be replaced.
    pub(super) fn is_lost(&self) -> bool {
        self.client.is_closed()
            || matches!(
                self.tx_error,
                Some(TxError::ConnectionLost | TxError::OutcomeUnknown)
            )
    }

    /// Returns the error of the current transaction, if any.
    pub(super) fn tx_error(&self) -> Option<TxError> {
        self.tx_error
    }

    /// Prepares a new transaction. BEGIN is sent with its first statement.
    pub(in crate::infra::db) fn begin(&mut self, access: Access) {
        self.access = access;
        self.deadline = match access {
            Access::LongRead(Some(limit)) => Some(Instant::now() + limit),
            _ => None,
        };
        self.lock_timeout = None;
        self.state = State::NotBegun;
        self.tx_error = None;
    }

    /// Sets the `lock_timeout` of the current transaction. Call it after [`PgConnection::begin`].
    pub(super) fn set_lock_timeout(&mut self, timeout: Duration) {
        self.lock_timeout = Some(timeout);
    }

    pub(in crate::infra::db) fn commit(&mut self) -> Result<()> {
        if self.tx_error.is_some() {
            // COMMIT of an aborted transaction rolls back without an error.
            return self.roll_back();
        }
        if self.state != State::Open {
            return Ok(());
        }
        let done = self.client.batch_execute("COMMIT");
        done.map_err(|error| {
            self.record(&error);
            if self.tx_error == Some(TxError::ConnectionLost) && self.access == Access::Write {
                self.tx_error = Some(TxError::OutcomeUnknown);
            }
            failure(&error)
        })
    }

    pub(in crate::infra::db) fn roll_back(&mut self) -> Result<()> {
        if self.state != State::Open || self.tx_error == Some(TxError::ConnectionLost) {
            return Ok(());
        }
        let done = self.client.batch_execute("ROLLBACK");
        done.map_err(|error| {
            self.tx_error = Some(TxError::ConnectionLost);
            failure(&error)
        })
    }

    /// Begins the transaction if necessary.
    ///
    /// Errors: the transaction has failed, timed out, or was a single statement that has committed.
    fn ensure_begun(&mut self) -> Result<()> {
        if let Some(error) = self.tx_error {
            let cause = format!("a statement after the transaction failed: {error:?}");
            return Err(Error::internal(cause));
        }
        // `statement_timeout` limits each statement; this check limits the transaction.
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() > deadline)
        {
            return Err(Error::unavailable(TIMED_OUT));
        }
        match self.state {
            State::Open => Ok(()),
            State::Autocommitted => {
                self.tx_error = Some(TxError::Failed);
                Err(Error::internal(
                    "a statement after one that was the whole transaction",
                ))
            }
            State::NotBegun => {
                const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                let with_timeout;
                let begin = match self.access {
                    Access::Write => match self.lock_timeout {
                        None => "BEGIN",
                        Some(timeout) => {
                            // 0 would disable the timeout.
                            let millis = timeout.as_millis().max(1);
                            with_timeout = format!("BEGIN; SET LOCAL lock_timeout = {millis}");
                            &with_timeout
                        }
                    },
                    Access::Read | Access::LongRead(None) => SNAPSHOT,
                    Access::LongRead(Some(timeout)) => {
                        // 0 would disable the timeout.
                        let millis = timeout.as_millis().max(1);
                        with_timeout =
                            format!("{SNAPSHOT}; SET LOCAL statement_timeout = {millis}");
                        &with_timeout
                    }
                };
                self.state = State::Open;
                let done = self.client.batch_execute(begin);
                done.map_err(|error| self.fail(&error))
            }
        }
    }

    /// Records and converts the error of a statement.
    fn fail(&mut self, error: &postgres::Error) -> Error {
        self.record(error);
        failure(error)
    }

    fn record(&mut self, error: &postgres::Error) {
        self.tx_error = Some(if is_connection_lost(error) || self.client.is_closed() {
            // A single autocommitted statement may have committed.
            if self.state == State::Autocommitted && self.access == Access::Write {
                TxError::OutcomeUnknown
            } else {
                TxError::ConnectionLost
            }
        } else if error.code().is_some_and(is_conflict) {
            TxError::Conflict
        } else {
            TxError::Failed
        });
    }

    fn rows(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        let statement = self.prepare(sql)?;
        let failed = match self.client.query_raw(&statement, args) {
            Err(error) => Some(error),
            Ok(mut rows) => loop {
                match rows.next() {
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                    Ok(Some(row)) => {
                        if !each(&Row::new(&row))? {
                            break None;
                        }
                    }
                }
            },
        };
        failed.map_or(Ok(()), |error| Err(self.fail(&error)))
    }

    /// Returns the prepared statement, from the cache or the server. Appends the locking clause in a write
    /// transaction.
    fn prepare(&mut self, sql: Sql<'_>) -> Result<Statement> {
        let lock = sql.locked_tables().filter(|_| self.access == Access::Write);
        let with_lock;
        let text = match lock {
            None => sql.postgres(),
            Some(tables) => {
                with_lock = format!("{} FOR NO KEY UPDATE OF {tables}", sql.postgres());
                &with_lock
            }
        };
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let prepared = self.client.prepare(&with_dollar_placeholders(text));
        let statement = prepared.map_err(|error| {
            if self.state == State::Autocommitted {
                // The statement did not run.
                self.state = State::NotBegun;
            }
            self.fail(&error)
        })?;
        if self.statements.len() >= MAX_STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Connection for PgConnection {
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64> {
        self.ensure_begun()?;
        let statement = self.prepare(sql)?;
        let args: Vec<_> = args
            .iter()
            .map(|value| value as &(dyn ToSql + Sync))
            .collect();
        let done = self.client.execute(&statement, &args);
        done.map_err(|error| self.fail(&error))
    }

    fn query(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        self.ensure_begun()?;
        self.rows(sql, args, each)
    }

    fn at_once(
        &mut self,
        sql: &str,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<bool> {
        // SET LOCAL needs an explicit transaction.
        if self.state != State::NotBegun || self.tx_error.is_some() || self.lock_timeout.is_some() {
            return Ok(false);
        }
        // From here on a lost connection leaves the outcome unknown.
        self.state = State::Autocommitted;
        let mut has_rows = false;
        self.rows(Sql::from(sql), args, &mut |row| {
            has_rows = true;
            each(row).map(|()| true)
        })?;
        if !has_rows {
            self.state = State::NotBegun;
        }
        Ok(has_rows)
    }

    fn is_single_writer(&self) -> bool {
        false
    }
}
