//! Classifies errors of Postgres: for the retry decision ([`TxError`]) and for the caller ([`failure`]).

use std::error::Error as _;

use postgres::error::SqlState;

use crate::core::error::{Error, Kind};

pub(super) const TIMED_OUT: &str = "the query took too long; narrow the request";

/// Why a transaction cannot continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TxError {
    /// A conflict with a concurrent transaction: retry.
    Conflict,
    /// The connection was lost before COMMIT was sent, so the transaction was rolled back: retry.
    ConnectionLost,
    /// The connection was lost during COMMIT: the transaction may have committed.
    OutcomeUnknown,
    /// A statement failed and aborted the transaction.
    Failed,
}

/// Returns whether the error is a conflict with a concurrent transaction. Unique and foreign-key violations
/// count, because a concurrent commit may have caused them after the operation's own check. On a retry the
/// operation sees the committed rows and returns its own error.
pub(super) fn is_conflict(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNIQUE_VIOLATION,
        SqlState::FOREIGN_KEY_VIOLATION,
    ]
    .contains(code)
}

/// Returns whether the error means that the connection is lost.
pub(super) fn is_connection_lost(error: &postgres::Error) -> bool {
    let by_code = error.code().is_some_and(|code| {
        // Class 08: connection exceptions.
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

/// Maps a Postgres error to an [`Error`] by its SQLSTATE
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(super) fn failure(error: &postgres::Error) -> Error {
    let cause = error.as_db_error().map_or_else(
        || error.to_string(),
        |db| format!("{} ({})", db.message(), db.code().code()),
    );
    let Some(code) = error.code().filter(|_| !is_connection_lost(error)) else {
        let failure = if is_connection_lost(error) {
            Error::unavailable("the database cannot be reached; try again")
        } else {
            Error::internal("")
        };
        return failure.caused_by(cause);
    };
    let failure = if is_conflict(code) {
        Error::unavailable("too many conflicting changes; try again")
    } else if *code == SqlState::LOCK_NOT_AVAILABLE {
        Error::unavailable("the database is busy; try again")
    } else if *code == SqlState::QUERY_CANCELED {
        Error::unavailable(TIMED_OUT)
    } else if *code == SqlState::DISK_FULL {
        Error::new(Kind::StorageFull, "the disk is full; nothing was changed")
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        Error::unavailable("the database is not writable")
    } else if code.code().starts_with("53") {
        // Class 53: insufficient resources.
        Error::unavailable("the database is out of resources; try again")
    } else {
        Error::internal("")
    };
    failure.caused_by(cause)
}
