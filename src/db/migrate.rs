//! The schema's steps, one text for every engine, applied in order by `refinery`.
//!
//! `migrations/README.md` says how to add one. A step's text has a token where engines differ.

use std::path::Path;

use refinery::{Migration, Runner};

use crate::error::{Error, Kind, Result};

/// Every step, oldest first. A landed one is never edited.
const STEPS: &[(&str, &str)] = &[
    (
        "V1__accounts",
        include_str!("../../migrations/V1__accounts.sql"),
    ),
    (
        "V2__catalog",
        include_str!("../../migrations/V2__catalog.sql"),
    ),
    ("V3__cart", include_str!("../../migrations/V3__cart.sql")),
    (
        "V4__orders",
        include_str!("../../migrations/V4__orders.sql"),
    ),
    (
        "V5__payments",
        include_str!("../../migrations/V5__payments.sql"),
    ),
    (
        "V6__machines",
        include_str!("../../migrations/V6__machines.sql"),
    ),
];

/// What the tokens stand for on `SQLite`; STRICT makes a column hold its own type only.
const SQLITE: &[(&str, &str)] = &[
    ("{int}", "INTEGER"),
    ("{id}", "BLOB"),
    ("{bytes}", "BLOB"),
    ("{strict}", "STRICT"),
    ("{clustered}", "STRICT, WITHOUT ROWID"),
];

/// Brings the `SQLite` file at `path` to this program's schema, making the file if need be.
/// Tells how many steps it took.
pub fn sqlite(path: &Path) -> Result<usize> {
    let mut connection = rusqlite::Connection::open(path).map_err(|e| cannot(path, e))?;
    connection
        .pragma_update(None, "journal_mode", "wal")
        .and_then(|()| connection.pragma_update(None, "synchronous", "full"))
        .map_err(|e| cannot(path, e))?;
    let report = runner(SQLITE)?
        .run(&mut connection)
        .map_err(|e| cannot(path, e))?;
    Ok(report.applied_migrations().len())
}

fn runner(tokens: &[(&str, &str)]) -> Result<Runner> {
    let steps = STEPS
        .iter()
        .map(|(name, text)| {
            let text = tokens
                .iter()
                .fold((*text).to_owned(), |text, (token, means)| {
                    text.replace(token, means)
                });
            Migration::unapplied(name, &text).map_err(Error::internal)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Runner::new(&steps)
        .set_grouped(true)
        .set_abort_missing(true)
        .set_abort_divergent(true))
}

fn cannot(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let detail = format!(
        "cannot bring the database `{}` up to date: {error}",
        path.display()
    );
    Error::new(Kind::Unavailable, detail).caused_by(error)
}
