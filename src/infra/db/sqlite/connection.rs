//! Statements, rows and failures of `SQLite`, as the seam wants them.

use rusqlite::{
    ErrorCode, Statement,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    core::error::{Error, Kind, Result},
    infra::db::{Cell, Cells, Connection, Row, Sql, Value},
};

impl Connection for rusqlite::Connection {
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64> {
        check_transaction(self)?;
        let mut statement = self.prepare_cached(sql.sqlite()).map_err(failure)?;
        execute(&mut statement, args)
    }

    fn query(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        check_transaction(self)?;
        let mut statement = self.prepare_cached(sql.sqlite()).map_err(failure)?;
        query(&mut statement, args, each)
    }

    fn is_single_writer(&self) -> bool {
        true
    }
}

/// Runs a statement and tells how many rows it changed.
pub(super) fn execute(statement: &mut Statement<'_>, args: &[Value<'_>]) -> Result<u64> {
    bind(statement, args)?;
    let changed = statement.raw_execute().map_err(failure)?;
    Ok(changed as u64)
}

/// Runs a statement and hands each row over, as long as `each` says `true`.
pub(super) fn query(
    statement: &mut Statement<'_>,
    args: &[Value<'_>],
    each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
) -> Result<()> {
    bind(statement, args)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failure)? {
        if !each(&Row::new(row))? {
            break;
        }
    }
    Ok(())
}

impl Cells for rusqlite::Row<'_> {
    fn cell(&self, index: usize) -> Result<Cell<'_>> {
        let value = self.get_ref(index).map_err(failure)?;
        match value {
            ValueRef::Null => Ok(Cell::Null),
            ValueRef::Integer(value) => Ok(Cell::Int(value)),
            ValueRef::Text(value) => std::str::from_utf8(value)
                .map(Cell::Text)
                .map_err(Error::internal),
            ValueRef::Blob(value) => Ok(Cell::Blob(value)),
            ValueRef::Real(_) => Err(Error::internal("the schema knows no floating point")),
        }
    }
}

/// Refuses to go on where the engine has undone the transaction under an operation: whatever came
/// after would be a transaction of its own, and kept.
pub(super) fn check_transaction(connection: &rusqlite::Connection) -> Result<()> {
    if connection.is_autocommit() {
        return Err(Error::internal("the transaction is gone"));
    }
    Ok(())
}

/// Runs one of the statements that rule transactions.
pub(in crate::infra::db) fn run(connection: &rusqlite::Connection, sql: &str) -> Result<()> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.raw_execute())
        .map(|_| ())
        .map_err(failure)
}

/// Every placeholder gets its value: one that is left out would keep that of an earlier use.
fn bind(statement: &mut Statement<'_>, args: &[Value<'_>]) -> Result<()> {
    if statement.parameter_count() != args.len() {
        let (wanted, given) = (statement.parameter_count(), args.len());
        let detail = format!("a statement has {wanted} placeholders and got {given} values");
        return Err(Error::internal(detail));
    }
    for (index, value) in args.iter().enumerate() {
        let value = match value {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Id(value) => ValueRef::Blob(value.as_bytes()),
            Value::Blob(value) => ValueRef::Blob(value),
        };
        statement
            .raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(value))
            .map_err(failure)?;
    }
    Ok(())
}

/// Whether another program holds the lock.
pub(super) fn is_busy(error: &Error) -> bool {
    engine_error(error).is_some_and(|error| error.code == ErrorCode::DatabaseBusy)
}

/// Whether a sync to the disk has failed. What was to be synced may be lost, and a second sync may succeed
/// all the same, since the kernel reports a failed write once.
pub(super) fn is_failed_sync(error: &Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
    engine_error(error).is_some_and(|error| {
        [SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC].contains(&error.extended_code)
    })
}

fn engine_error(error: &Error) -> Option<&rusqlite::ffi::Error> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<rusqlite::Error>()?.sqlite_error()
}

/// What a failure of the engine means to the shop (<https://www.sqlite.org/rescode.html>).
pub(super) fn failure(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::unavailable("the database is busy; try again").caused_by(error)
        }
        Some(ErrorCode::OperationInterrupted) => {
            Error::unavailable("this took too long; ask for less").caused_by(error)
        }
        Some(ErrorCode::DiskFull) => {
            Error::new(Kind::StorageFull, "the disk is full; nothing was changed").caused_by(error)
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => {
            Error::unavailable("the database cannot be written").caused_by(error)
        }
        _ => Error::internal(error),
    }
}
