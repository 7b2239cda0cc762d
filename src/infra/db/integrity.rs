//! Checks the structure of a database file.

use super::{Connection, Location, Sql, sqlite};
use crate::core::error::Result;

/// The maximum number of problems that are returned.
const MAX_PROBLEMS: usize = 10;

/// Checks a `SQLite` file with `PRAGMA quick_check` and `PRAGMA foreign_key_check`. Returns the problems it found. Blocks,
/// for seconds per GiB. A Postgres server checks its own files, so there are none.
///
/// Errors: `unavailable` if the file cannot be read.
pub fn check(location: &Location) -> Result<Vec<String>> {
    let Location::Sqlite(path) = location else {
        return Ok(Vec::new());
    };
    let mut connection = sqlite::open_standalone(path, false)?;
    sqlite::run(&connection, "BEGIN")?;
    let mut problems = Vec::new();
    let quick_check = format!(
        "SELECT quick_check AS problem FROM pragma_quick_check WHERE quick_check <> 'ok' LIMIT {MAX_PROBLEMS}"
    );
    let foreign_keys = format!(
        "SELECT 'a row of `' || \"table\" || '` refers to a missing row of `' || parent || '`' AS problem
         FROM pragma_foreign_key_check LIMIT {MAX_PROBLEMS}"
    );
    for query in [&quick_check, &foreign_keys] {
        connection.query(Sql::from(query), &[], &mut |row| {
            problems.push(row.get("problem")?);
            Ok(true)
        })?;
    }
    Ok(problems)
}
