//! A connection and its current transaction.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_postgres::{Error as PgError, Row as PgRow, Statement};

use super::{
    Target,
    errors::{TIMED_OUT, TxError, failure, is_conflict, is_connection_lost},
    pipeline::{Pipeline, Response},
    types::with_dollar_placeholders,
};
use crate::{
    core::error::{Error, Result},
    infra::db::{Access, ColumnNames, Connection, Expected, Row, Sql, Ticket, Value},
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
    /// BEGIN is in the queue.
    BeginQueued,
    Open,
}

/// What the response to a queued request is needed for.
enum Awaited {
    Completion,
    Count(Expected),
    Rows(Ticket),
}

pub(in crate::infra::db) struct PgConnection {
    pipeline: Pipeline,
    /// One entry per queued request, in the same order.
    awaited: VecDeque<Awaited>,
    /// The rows of queued queries, until the operation reads them.
    received: HashMap<Ticket, Vec<PgRow>>,
    last_ticket: Ticket,
    statements: HashMap<String, Statement>,
    access: Access,
    /// The deadline of a long read with its own timeout.
    deadline: Option<Instant>,
    /// The `lock_timeout` of the connection.
    default_lock_timeout: Duration,
    /// The transaction's own `lock_timeout`, if shorter than the connection's.
    lock_timeout: Option<Duration>,
    state: State,
    tx_error: Option<TxError>,
}

impl PgConnection {
    pub(super) fn open(settings: &ConnectionSettings) -> Result<PgConnection> {
        let mut pipeline = Pipeline::connect(&settings.target)?;
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
        pipeline.batch(&set).1.map_err(|e| failure(&e))?;
        Ok(PgConnection {
            pipeline,
            awaited: VecDeque::new(),
            received: HashMap::new(),
            last_ticket: 0,
            statements: HashMap::new(),
            access: Access::Read,
            deadline: None,
            default_lock_timeout: settings.lock_timeout,
            lock_timeout: None,
            state: State::NotBegun,
            tx_error: None,
        })
    }

    /// Returns whether the connection must be replaced.
    pub(super) fn is_lost(&self) -> bool {
        self.pipeline.is_closed()
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
        self.discard_queue();
        self.received.clear();
    }

    /// Sets the `lock_timeout` of the current transaction. Call it after [`PgConnection::begin`].
    pub(super) fn set_lock_timeout(&mut self, timeout: Duration) {
        self.lock_timeout = Some(timeout);
    }

    /// Sends the queued statements, and COMMIT if each of them changed the expected number of rows.
    pub(in crate::infra::db) fn commit(&mut self) -> Result<()> {
        if self.tx_error.is_none()
            && let Err(error) = self.flush()
        {
            // A failed rollback means a lost connection, on which the server rolls back by itself.
            let _ = self.roll_back();
            return Err(error);
        }
        if self.tx_error.is_some() {
            // COMMIT of an aborted transaction rolls back without an error.
            return self.roll_back();
        }
        if self.state != State::Open {
            return Ok(());
        }
        let (_, done) = self.pipeline.batch("COMMIT");
        done.map_err(|error| {
            self.record(&error);
            if self.tx_error == Some(TxError::ConnectionLost) && self.access == Access::Write {
                self.tx_error = Some(TxError::OutcomeUnknown);
            }
            failure(&error)
        })
    }

    pub(in crate::infra::db) fn roll_back(&mut self) -> Result<()> {
        self.discard_queue();
        if self.state != State::Open || self.tx_error == Some(TxError::ConnectionLost) {
            return Ok(());
        }
        let (_, done) = self.pipeline.batch("ROLLBACK");
        done.map_err(|error| {
            self.tx_error = Some(TxError::ConnectionLost);
            failure(&error)
        })
    }

    fn discard_queue(&mut self) {
        self.pipeline.clear();
        self.awaited.clear();
    }

    /// Queues BEGIN if necessary.
    ///
    /// Errors: the transaction has failed or timed out.
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
            State::BeginQueued | State::Open => Ok(()),
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
                self.pipeline.queue_batch(begin.to_owned());
                self.awaited.push_back(Awaited::Completion);
                self.state = State::BeginQueued;
                Ok(())
            }
        }
    }

    /// Records and converts the error of a statement.
    fn fail(&mut self, error: &PgError) -> Error {
        self.record(error);
        failure(error)
    }

    fn record(&mut self, error: &PgError) {
        self.tx_error = Some(if is_connection_lost(error) || self.pipeline.is_closed() {
            TxError::ConnectionLost
        } else if error.code().is_some_and(is_conflict) {
            TxError::Conflict
        } else {
            TxError::Failed
        });
    }

    /// Sends the queue and checks its responses.
    fn flush(&mut self) -> Result<()> {
        if self.awaited.is_empty() {
            return Ok(());
        }
        let responses = self.pipeline.flush();
        self.check(responses)
    }

    /// Checks the responses to the queue. Errors: that of the first statement that failed.
    fn check(&mut self, responses: Vec<Result<Response, PgError>>) -> Result<()> {
        if self.state == State::BeginQueued {
            self.state = State::Open;
        }
        let awaited = std::mem::take(&mut self.awaited);
        for (response, awaited) in responses.into_iter().zip(awaited) {
            match (response.map_err(|error| self.fail(&error))?, awaited) {
                (Response::Count(rows), Awaited::Count(expected)) if rows != expected.rows => {
                    self.tx_error = Some(TxError::Failed);
                    return Err((expected.otherwise)());
                }
                (Response::Rows(rows), Awaited::Rows(ticket)) => {
                    self.received.insert(ticket, rows);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn rows(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        let statement = self.prepare(sql)?;
        let (responses, rows) = self.pipeline.query(&statement, args);
        self.check(responses)?;
        let mut rows = pin!(rows.map_err(|error| self.fail(&error))?);
        let names = ColumnNames::default();
        loop {
            match self.pipeline.next(rows.as_mut()) {
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.fail(&error)),
                Ok(Some(row)) => {
                    if !each(&Row::new(&row, &names))? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Returns the tables whose rows a query locks in this transaction.
    fn locked_tables(&self, sql: Sql<'_>) -> Option<&'static str> {
        sql.locked_tables().filter(|_| self.access == Access::Write)
    }

    fn lock_timeout_millis(&self) -> Value<'static> {
        let timeout = self.lock_timeout.unwrap_or(self.default_lock_timeout);
        Value::Int(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX))
    }

    /// Returns the prepared statement, with the locking clause in a write transaction.
    fn prepare(&mut self, sql: Sql<'_>) -> Result<Statement> {
        match self.locked_tables(sql) {
            None => self.prepare_text(sql.postgres()),
            Some(tables) => self.prepare_text(&locking(sql.postgres(), tables)),
        }
    }

    /// Returns the prepared statement, from the cache or the server.
    fn prepare_text(&mut self, text: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let prepared = self.pipeline.prepare(&with_dollar_placeholders(text));
        let statement = prepared.map_err(|error| self.fail(&error))?;
        if self.statements.len() >= MAX_STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// Returns the query with a clause that locks the rows of `tables`.
fn locking(query: &str, tables: &str) -> String {
    format!("{query} FOR NO KEY UPDATE OF {tables}")
}

/// Like [`locking`]. Each locked row reduces `lock_timeout` to what is left of the parameter `timeout`, in
/// milliseconds: Postgres applies it to each lock, and this way it limits the locks of a transaction together.
/// A query without a row does not reduce it.
fn with_remaining_lock_timeout(query: &str, tables: &str, timeout: usize) -> String {
    // The outer query calls the function after the inner one has locked the row.
    format!(
        "SELECT locked.*, set_config('lock_timeout', greatest(1, CAST(?{timeout} AS BIGINT)
             - CAST(extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000 AS BIGINT)
             )::text, true)
         FROM ({}) AS locked",
        locking(query, tables)
    )
}

impl Connection for PgConnection {
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64> {
        self.ensure_begun()?;
        let statement = self.prepare(sql)?;
        let (responses, done) = self.pipeline.execute(&statement, args);
        self.check(responses)?;
        done.map_err(|error| self.fail(&error))
    }

    fn queue_execute(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        expected: Option<Expected>,
    ) -> Result<()> {
        self.ensure_begun()?;
        let statement = self.prepare(sql)?;
        self.pipeline.queue_execute(statement, args)?;
        self.awaited
            .push_back(expected.map_or(Awaited::Completion, Awaited::Count));
        Ok(())
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

    fn queue_query(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<Option<Ticket>> {
        self.ensure_begun()?;
        if let Some(tables) = self.locked_tables(sql) {
            let text = with_remaining_lock_timeout(sql.postgres(), tables, args.len() + 1);
            let statement = self.prepare_text(&text)?;
            let args = [args, &[self.lock_timeout_millis()]].concat();
            self.pipeline.queue_query(statement, &args)?;
        } else {
            let statement = self.prepare(sql)?;
            self.pipeline.queue_query(statement, args)?;
        }
        self.last_ticket += 1;
        self.awaited.push_back(Awaited::Rows(self.last_ticket));
        Ok(Some(self.last_ticket))
    }

    fn receive(
        &mut self,
        ticket: Ticket,
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        if !self.received.contains_key(&ticket) {
            self.flush()?;
        }
        let rows = self.received.remove(&ticket);
        let rows = rows.ok_or_else(|| Error::internal("a queued query has no rows to read"))?;
        let names = ColumnNames::default();
        for row in &rows {
            if !each(&Row::new(row, &names))? {
                break;
            }
        }
        Ok(())
    }

    fn is_single_writer(&self) -> bool {
        false
    }
}
