//! A connection and its current transaction.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    time::{Duration, Instant},
};

use tokio_postgres::{Error as PgError, Row as PgRow, Statement};

use super::{
    connection_settings::{ConnectionSettings, begin_sql},
    errors::{TIMED_OUT, TxError, failure, is_conflict, is_connection_lost},
    pipeline::{Pipeline, Response},
    statement_cache::{Locking, StatementCache},
};
use crate::{
    core::error::{Error, Result},
    infra::db::{Access, ColumnNames, Connection, Expected, Row, Sql, Ticket, Value},
};

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
    /// The rows of prefetched queries, until the operation reads them.
    received: HashMap<Ticket, Vec<PgRow>>,
    last_ticket: Ticket,
    statements: StatementCache,
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
        let (_, done) = pipeline.batch(&settings.session_sql());
        done.map_err(|e| failure(&e))?;
        Ok(PgConnection {
            pipeline,
            awaited: VecDeque::new(),
            received: HashMap::new(),
            last_ticket: 0,
            statements: StatementCache::default(),
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
        if self.state == State::NotBegun {
            self.pipeline
                .queue_batch(begin_sql(self.access, self.lock_timeout));
            self.awaited.push_back(Awaited::Completion);
            self.state = State::BeginQueued;
        }
        Ok(())
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
        let locking = self.locked_tables(sql).map_or(Locking::None, Locking::Rows);
        self.prepare_locking(sql, locking)
    }

    /// Returns the prepared statement, from the cache or the server.
    fn prepare_locking(&mut self, sql: Sql<'_>, locking: Locking) -> Result<Statement> {
        let text = sql.postgres();
        if let Some(statement) = self.statements.get(text, locking) {
            return Ok(statement.clone());
        }
        let prepared = self.pipeline.prepare(&locking.statement_text(text));
        let statement = prepared.map_err(|error| self.fail(&error))?;
        self.statements.insert(text, locking, statement.clone());
        Ok(statement)
    }
}

impl Connection for PgConnection {
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64> {
        self.ensure_begun()?;
        let statement = self.prepare(sql)?;
        let (responses, done) = self.pipeline.execute(&statement, args);
        self.check(responses)?;
        done.map_err(|error| self.fail(&error))
    }

    fn execute_pipelined(
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

    fn prefetch(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<Option<Ticket>> {
        self.ensure_begun()?;
        if let Some(tables) = self.locked_tables(sql) {
            let timeout = args.len() + 1;
            let locking = Locking::RowsInTime { tables, timeout };
            let statement = self.prepare_locking(sql, locking)?;
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
        let rows = rows.ok_or_else(|| Error::internal("a prefetched query has no rows to read"))?;
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
