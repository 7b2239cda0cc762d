//! A connection with the transaction that is open on it: statements, rows and failures, as the seam
//! wants them.

use std::{
    collections::HashMap,
    error::Error as _,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use postgres::{
    Client, Row as PgRow, Statement,
    error::SqlState,
    fallible_iterator::FallibleIterator,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};

use super::Target;
use crate::{
    core::error::{Error, Kind, Result},
    infra::db::{Access, Cell, Cells, Connection, Row, Sql, Value},
};

const TOO_LONG: &str = "this took too long; ask for less";

/// How many statements a connection keeps prepared.
const STATEMENTS: usize = 512;

/// What every connection that writes is set to, whatever the database is. A server that acknowledges
/// before it has synced would lose what was answered, and what listeners were told.
pub(super) const TRUSTWORTHY: &str = "
    SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off'";

/// What every connection of a crew is set to.
pub(in crate::infra::db) struct Setup {
    pub(in crate::infra::db) target: Arc<Target>,
    pub(in crate::infra::db) statement_limit: Duration,
    pub(in crate::infra::db) lock_limit: Duration,
    /// Whether all that runs there is found by its keys. Then a statement is planned once, and never
    /// as a scan of a table that was small at that moment.
    pub(in crate::infra::db) by_keys: bool,
}

/// What went wrong in a transaction, in the eyes of who decides whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It met others: run it again.
    Contended,
    /// The connection is gone, and the transaction with it: run it again.
    Lost,
    /// The connection is gone, and nobody knows whether the change was kept.
    Uncertain,
    /// A statement failed, and the transaction with it.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent: an operation without a statement costs no journey.
    Fresh,
    Open,
    /// One statement was the whole transaction, and is kept.
    Done,
}

pub(in crate::infra::db) struct Session {
    client: Client,
    statements: HashMap<String, Statement>,
    access: Access,
    /// When a transaction with a limit of its own is over.
    deadline: Option<Instant>,
    /// How long its statements wait for a lock, where that is less than usual.
    lock_limit: Option<Duration>,
    stage: Stage,
    trouble: Option<Trouble>,
}

impl Session {
    pub(super) fn open(setup: &Setup) -> Result<Session> {
        let mut client = setup.target.connect()?;
        let plans = if setup.by_keys {
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
             SET enable_hashjoin = off; SET enable_mergejoin = off;"
        } else {
            ""
        };
        let settings = format!(
            "SET statement_timeout = {}; SET lock_timeout = {};
             SET idle_in_transaction_session_timeout = 60000; SET jit = off; {plans} {TRUSTWORTHY}",
            setup.statement_limit.as_millis(),
            setup.lock_limit.as_millis()
        );
        client.batch_execute(&settings).map_err(|e| failure(&e))?;
        Ok(Session {
            client,
            statements: HashMap::new(),
            access: Access::Read,
            deadline: None,
            lock_limit: None,
            stage: Stage::Fresh,
            trouble: None,
        })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.client.is_closed() || matches!(self.trouble, Some(Trouble::Lost | Trouble::Uncertain))
    }

    /// What went wrong since [`Session::begin`].
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Makes ready for a transaction, which begins with its first statement.
    pub(in crate::infra::db) fn begin(&mut self, access: Access) {
        self.access = access;
        self.deadline = match access {
            Access::LongRead(Some(limit)) => Some(Instant::now() + limit),
            _ => None,
        };
        self.lock_limit = None;
        self.stage = Stage::Fresh;
        self.trouble = None;
    }

    /// Lets the statements of the transaction that was made ready wait so long for a lock.
    pub(super) fn limit_locks(&mut self, limit: Duration) {
        self.lock_limit = Some(limit);
    }

    pub(in crate::infra::db) fn commit(&mut self) -> Result<()> {
        if self.trouble.is_some() {
            // COMMIT of a failed transaction would pass for a success.
            return self.roll_back();
        }
        if self.stage != Stage::Open {
            return Ok(());
        }
        let done = self.client.batch_execute("COMMIT");
        done.map_err(|error| {
            self.note(&error);
            if self.trouble == Some(Trouble::Lost) && self.access == Access::Write {
                self.trouble = Some(Trouble::Uncertain);
            }
            failure(&error)
        })
    }

    pub(in crate::infra::db) fn roll_back(&mut self) -> Result<()> {
        if self.stage != Stage::Open || self.trouble == Some(Trouble::Lost) {
            return Ok(());
        }
        let done = self.client.batch_execute("ROLLBACK");
        done.map_err(|error| {
            self.trouble = Some(Trouble::Lost);
            failure(&error)
        })
    }

    /// Begins what is not begun, and refuses what must not be.
    fn enter(&mut self) -> Result<()> {
        if let Some(trouble) = self.trouble {
            let cause = format!("a statement after the transaction was {trouble:?}");
            return Err(Error::internal(cause));
        }
        // Each statement has the limit of the whole.
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() > deadline)
        {
            return Err(Error::unavailable(TOO_LONG));
        }
        match self.stage {
            Stage::Open => Ok(()),
            Stage::Done => {
                self.trouble = Some(Trouble::Failed);
                Err(Error::internal(
                    "a statement after one that was to be alone",
                ))
            }
            Stage::Fresh => {
                const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                let limited;
                let begin = match self.access {
                    Access::Write => match self.lock_limit {
                        None => "BEGIN",
                        Some(limit) => {
                            // 0 would be no limit at all.
                            let limit = limit.as_millis().max(1);
                            limited = format!("BEGIN; SET LOCAL lock_timeout = {limit}");
                            &limited
                        }
                    },
                    Access::Read | Access::LongRead(None) => SNAPSHOT,
                    Access::LongRead(Some(limit)) => {
                        // 0 would be no limit at all.
                        let limit = limit.as_millis().max(1);
                        limited = format!("{SNAPSHOT}; SET LOCAL statement_timeout = {limit}");
                        &limited
                    }
                };
                self.stage = Stage::Open;
                let done = self.client.batch_execute(begin);
                done.map_err(|error| self.fail(&error))
            }
        }
    }

    fn fail(&mut self, error: &postgres::Error) -> Error {
        self.note(error);
        failure(error)
    }

    fn note(&mut self, error: &postgres::Error) {
        self.trouble = Some(if is_lost(error) || self.client.is_closed() {
            // One that ran alone may have been kept.
            if self.stage == Stage::Done && self.access == Access::Write {
                Trouble::Uncertain
            } else {
                Trouble::Lost
            }
        } else if error.code().is_some_and(is_contended) {
            Trouble::Contended
        } else {
            Trouble::Failed
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

    /// The statement, prepared on this connection, its text made `Postgres`' own.
    fn prepare(&mut self, sql: Sql<'_>) -> Result<Statement> {
        let lock = sql.locked().filter(|_| self.access == Access::Write);
        let locking;
        let text = match lock {
            None => sql.postgres(),
            Some(table) => {
                locking = format!("{} FOR NO KEY UPDATE OF {table}", sql.postgres());
                &locking
            }
        };
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let prepared = self.client.prepare(&numbered(text));
        let statement = prepared.map_err(|error| {
            if self.stage == Stage::Done {
                // It has not run yet.
                self.stage = Stage::Fresh;
            }
            self.fail(&error)
        })?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Connection for Session {
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64> {
        self.enter()?;
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
        self.enter()?;
        self.rows(sql, args, each)
    }

    fn at_once(
        &mut self,
        sql: &str,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<bool> {
        // A limit of its own needs a transaction to hold for.
        if self.stage != Stage::Fresh || self.trouble.is_some() || self.lock_limit.is_some() {
            return Ok(false);
        }
        // Whatever goes wrong from here, nobody can say that nothing was written.
        self.stage = Stage::Done;
        let mut gave = false;
        self.rows(Sql::from(sql), args, &mut |row| {
            gave = true;
            each(row).map(|()| true)
        })?;
        if !gave {
            self.stage = Stage::Fresh;
        }
        Ok(gave)
    }

    fn is_single_writer(&self) -> bool {
        false
    }
}

/// `?1` as `$1`, outside of quoted texts.
fn numbered(sql: &str) -> String {
    let mut quoted = false;
    sql.chars()
        .map(|letter| match letter {
            '\'' => {
                quoted = !quoted;
                letter
            }
            '?' if !quoted => '$',
            _ => letter,
        })
        .collect()
}

impl Cells for PgRow {
    fn cell(&self, index: usize) -> Result<Cell<'_>> {
        self.try_get(index).map_err(Error::internal)
    }
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(
        kind: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT8 => Cell::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Cell::Int(i32::from_sql(kind, raw)?.into()),
            Type::BOOL => Cell::Int(bool::from_sql(kind, raw)?.into()),
            // On the wire an id is its sixteen bytes.
            Type::BYTEA | Type::UUID => Cell::Blob(raw),
            _ => Cell::Text(<&str>::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(
            *kind,
            Type::INT8 | Type::INT4 | Type::BOOL | Type::BYTEA | Type::UUID
        ) || <&str as FromSql>::accepts(kind)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, kind) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Int(value), &Type::INT8) => value.to_sql(kind, out),
            (Value::Int(value), &Type::INT4) => i32::try_from(*value)?.to_sql(kind, out),
            (Value::Text(value), _) if <&str as ToSql>::accepts(kind) => value.to_sql(kind, out),
            (Value::Id(value), &Type::UUID | &Type::BYTEA) => {
                out.extend_from_slice(value.as_bytes());
                Ok(IsNull::No)
            }
            (Value::Blob(value), &Type::BYTEA) => value.to_sql(kind, out),
            (Value::Blob(value), &Type::UUID) if value.len() == 16 => {
                out.extend_from_slice(value);
                Ok(IsNull::No)
            }
            _ => Err(format!("{self:?} does not fit a parameter of type {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Where another transaction was first. A unique key or a parent that was there a moment ago counts
/// too: run again, the operation finds out by itself.
fn is_contended(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNIQUE_VIOLATION,
        SqlState::FOREIGN_KEY_VIOLATION,
    ]
    .contains(code)
}

fn is_lost(error: &postgres::Error) -> bool {
    let by_code = error.code().is_some_and(|code| {
        code.code().starts_with("08")
            || [
                SqlState::ADMIN_SHUTDOWN,
                SqlState::CRASH_SHUTDOWN,
                SqlState::CANNOT_CONNECT_NOW,
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            ]
            .contains(code)
    });
    let by_io = error
        .source()
        .is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
    error.is_closed() || by_code || by_io
}

/// What a failure of the server means to the shop
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(super) fn failure(error: &postgres::Error) -> Error {
    let cause = error.as_db_error().map_or_else(
        || error.to_string(),
        |db| format!("{} ({})", db.message(), db.code().code()),
    );
    let Some(code) = error.code().filter(|_| !is_lost(error)) else {
        let failure = if is_lost(error) {
            Error::unavailable("the database cannot be reached; try again")
        } else {
            Error::internal("")
        };
        return failure.caused_by(cause);
    };
    let failure = if is_contended(code) {
        Error::unavailable("too much was changed at once; try again")
    } else if *code == SqlState::LOCK_NOT_AVAILABLE {
        Error::unavailable("the database is busy; try again")
    } else if *code == SqlState::QUERY_CANCELED {
        Error::unavailable(TOO_LONG)
    } else if *code == SqlState::DISK_FULL {
        Error::new(Kind::StorageFull, "the disk is full; nothing was changed")
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        Error::unavailable("the database cannot be written")
    } else if code.code().starts_with("53") {
        Error::unavailable("the database has no room for more at once; try again")
    } else {
        Error::internal("")
    };
    failure.caused_by(cause)
}
