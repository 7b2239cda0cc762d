//! Maps statements, rows and errors of `rusqlite` to the storage layer's types.

use rusqlite::{
    ErrorCode, Statement,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    core::error::{Error, Kind, Result},
    infra::db::{Cell, Cells, ColumnNames, Connection, Row, Sql, Value},
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

/// Runs a statement. Returns the number of changed rows.
pub(super) fn execute(statement: &mut Statement<'_>, args: &[Value<'_>]) -> Result<u64> {
    bind(statement, args)?;
    let changed = statement.raw_execute().map_err(failure)?;
    Ok(changed as u64)
}

/// Runs a query and calls `each` for every row until it returns `false`.
pub(super) fn query(
    statement: &mut Statement<'_>,
    args: &[Value<'_>],
    each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
) -> Result<()> {
    bind(statement, args)?;
    let names = ColumnNames::default();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failure)? {
        if !each(&Row::new(row, &names))? {
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
            ValueRef::Real(_) => Err(Error::internal("floating-point columns are not supported")),
        }
    }

    fn name(&self, index: usize) -> Option<&str> {
        self.as_ref().column_name(index).ok()
    }
}

/// Errors: `Internal` if `SQLite` has rolled the transaction back inside an operation. Further statements
/// would autocommit.
pub(super) fn check_transaction(connection: &rusqlite::Connection) -> Result<()> {
    if connection.is_autocommit() {
        return Err(Error::internal("the transaction was rolled back"));
    }
    Ok(())
}

/// Runs a transaction control statement.
pub(in crate::infra::db) fn run(connection: &rusqlite::Connection, sql: &str) -> Result<()> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.raw_execute())
        .map(|_| ())
        .map_err(failure)
}

/// Binds all parameters. A parameter that is not bound would keep the value of an earlier use of the
/// statement.
fn bind(statement: &mut Statement<'_>, args: &[Value<'_>]) -> Result<()> {
    if statement.parameter_count() != args.len() {
        let (expected, given) = (statement.parameter_count(), args.len());
        let detail = format!("the statement has {expected} placeholders and got {given} values");
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

/// Returns whether the error is `SQLITE_BUSY`: another process holds the lock.
pub(super) fn is_busy(error: &Error) -> bool {
    sqlite_error(error).is_some_and(|error| error.code == ErrorCode::DatabaseBusy)
}

/// Returns whether the error is a failed fsync. The pages may be lost, and a second fsync may still succeed,
/// because the kernel reports a failed write-back only once.
pub(super) fn is_failed_fsync(error: &Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
    sqlite_error(error).is_some_and(|error| {
        [SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC].contains(&error.extended_code)
    })
}

fn sqlite_error(error: &Error) -> Option<&rusqlite::ffi::Error> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<rusqlite::Error>()?.sqlite_error()
}

/// Returns whether the error is caused by a full disk. If the shared-memory file cannot be extended, `SQLite`
/// reports it as an I/O error.
pub(in crate::infra::db) fn is_disk_full(error: rusqlite::ffi::Error) -> bool {
    error.code == ErrorCode::DiskFull || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
}

/// Maps a `SQLite` error to an [`Error`] by its result code (<https://www.sqlite.org/rescode.html>).
pub(in crate::infra::db) fn failure(error: rusqlite::Error) -> Error {
    if error.sqlite_error().copied().is_some_and(is_disk_full) {
        let detail = "the disk is full; nothing was changed";
        return Error::new(Kind::StorageFull, detail).caused_by(error);
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::unavailable("the database is busy; try again").caused_by(error)
        }
        Some(ErrorCode::OperationInterrupted) => {
            Error::unavailable("the query took too long; narrow the request").caused_by(error)
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => {
            Error::unavailable("the database is not writable").caused_by(error)
        }
        _ => Error::internal(error),
    }
}
