//! The schema's steps, one text for every engine, applied in order by `refinery`.
//!
//! `migrations/README.md` says how to add one. A step's text has a token where engines differ.

use std::path::Path;

use refinery::{Migration, Runner};
use rusqlite::config::DbConfig;

use super::postgres::Target;
use crate::{
    core::error::{Error, Kind, Result},
    infra::file_modes,
};

/// Every step, oldest first. A landed one is never edited.
const STEPS: &[(&str, &str)] = &[
    (
        "V1__accounts",
        include_str!("../../../migrations/V1__accounts.sql"),
    ),
    (
        "V2__catalog",
        include_str!("../../../migrations/V2__catalog.sql"),
    ),
    ("V3__cart", include_str!("../../../migrations/V3__cart.sql")),
    (
        "V4__orders",
        include_str!("../../../migrations/V4__orders.sql"),
    ),
    (
        "V5__payments",
        include_str!("../../../migrations/V5__payments.sql"),
    ),
    (
        "V6__machines",
        include_str!("../../../migrations/V6__machines.sql"),
    ),
    (
        "V7__several_writers",
        include_str!("../../../migrations/V7__several_writers.sql"),
    ),
    (
        "V8__login_tries",
        include_str!("../../../migrations/V8__login_tries.sql"),
    ),
    (
        "V9__sessions_links_mail",
        include_str!("../../../migrations/V9__sessions_links_mail.sql"),
    ),
    (
        "V10__image_removals",
        include_str!("../../../migrations/V10__image_removals.sql"),
    ),
    (
        "V11__search",
        include_str!("../../../migrations/V11__search.sql"),
    ),
    (
        "V12__places",
        include_str!("../../../migrations/V12__places.sql"),
    ),
    (
        "V13__refunds",
        include_str!("../../../migrations/V13__refunds.sql"),
    ),
    (
        "V14__price_counts",
        include_str!("../../../migrations/V14__price_counts.sql"),
    ),
    (
        "V15__postings",
        include_str!("../../../migrations/V15__postings.sql"),
    ),
    (
        "V16__known_networks",
        include_str!("../../../migrations/V16__known_networks.sql"),
    ),
    (
        "V17__mailed_links",
        include_str!("../../../migrations/V17__mailed_links.sql"),
    ),
    (
        "V18__imported_sheets",
        include_str!("../../../migrations/V18__imported_sheets.sql"),
    ),
    (
        "V19__resolutions",
        include_str!("../../../migrations/V19__resolutions.sql"),
    ),
    (
        "V20__folding",
        include_str!("../../../migrations/V20__folding.sql"),
    ),
];

/// What the tokens stand for on `SQLite`; STRICT makes a column hold its own type only.
const SQLITE: &[(&str, &str)] = &[
    ("{int}", "INTEGER"),
    ("{id}", "BLOB"),
    ("{bytes}", "BLOB"),
    ("{serial}", "INTEGER"),
    ("{strict}", "STRICT"),
    ("{clustered}", "STRICT, WITHOUT ROWID"),
    (
        "{full_text}",
        include_str!("../../../migrations/V11__search.sqlite.sql"),
    ),
    (
        "{own_keys}",
        include_str!("../../../migrations/V12__places.sqlite.sql"),
    ),
    (
        "{price_counts}",
        include_str!("../../../migrations/V14__price_counts.sqlite.sql"),
    ),
    (
        "{words_anew}",
        include_str!("../../../migrations/V15__postings.sqlite.sql"),
    ),
    ("{data_without_link}", "json_remove(data, '$.link')"),
];

/// What they stand for on `Postgres`. Texts are compared by their bytes there too, whatever the
/// language of the database.
const POSTGRES: &[(&str, &str)] = &[
    ("{int}", "BIGINT"),
    ("{id}", "UUID"),
    ("{bytes}", "BYTEA"),
    ("{serial}", "BIGINT GENERATED ALWAYS AS IDENTITY"),
    ("{strict}", ""),
    ("{clustered}", ""),
    (
        "{full_text}",
        include_str!("../../../migrations/V11__search.postgres.sql"),
    ),
    (
        "{own_keys}",
        include_str!("../../../migrations/V12__places.postgres.sql"),
    ),
    ("{price_counts}", ""),
    ("{words_anew}", ""),
    ("{data_without_link}", "(data::jsonb - 'link')::text"),
    (" TEXT", " TEXT COLLATE \"C\""),
];

/// Brings the `SQLite` file at `path` to this program's schema, making the file if need be.
/// Tells how many steps it took.
pub fn sqlite(path: &Path) -> Result<usize> {
    // `SQLite` gives the WAL and its index the mode of the database.
    file_modes::create_if_missing(path).map_err(|e| cannot(path, e))?;
    let mut connection = rusqlite::Connection::open(path).map_err(|e| cannot(path, e))?;
    connection
        .pragma_update(None, "journal_mode", "wal")
        .and_then(|()| connection.pragma_update(None, "synchronous", "full"))
        .map_err(|e| cannot(path, e))?;
    let report = runner(SQLITE)?.run(&mut connection).map_err(|error| {
        // Closing would fold the log, and a sync may just have failed.
        let keeps_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if let Err(error) = connection.set_db_config(keeps_log, true) {
            tracing::warn!(%error, "the log is folded as the database is closed");
        }
        newer(&format!("`{}`", path.display()), &error).unwrap_or_else(|| cannot(path, error))
    })?;
    Ok(report.applied_migrations().len())
}

/// Brings the `Postgres` database to this program's schema. Of several programs at once one does it
/// while the others wait. Tells how many steps it took.
pub fn postgres(target: &Target) -> Result<usize> {
    let wrong = |error: &(dyn std::error::Error + 'static)| {
        let texts = std::iter::successors(Some(error), |error| error.source());
        let texts: Vec<_> = texts.map(ToString::to_string).collect();
        let (name, why) = (target.name(), texts.join(": "));
        Error::unavailable(format!(
            "cannot bring the database {name} up to date: {why}"
        ))
    };
    let mut client = target.connect()?;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&MIGRATING])
        .map_err(|e| wrong(&e))?;
    target.check(&mut client)?;
    let report = runner(POSTGRES)?
        .run(&mut client)
        .map_err(|error| newer(&target.name(), &error).unwrap_or_else(|| wrong(&error)))?;
    // The lock goes with the connection.
    Ok(report.applied_migrations().len())
}

/// An empty database of this program's schema, gone when closed.
pub(super) fn in_memory() -> Result<rusqlite::Connection> {
    let mut connection = rusqlite::Connection::open_in_memory().map_err(Error::internal)?;
    runner(SQLITE)?
        .run(&mut connection)
        .map_err(Error::internal)?;
    Ok(connection)
}

/// The advisory lock of who migrates, or wants nobody to come: any number that is the same for all.
pub(super) const MIGRATING: i64 = 0x5348_4f50_0001;

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

/// What to say of a database on which a step was taken that this program does not know.
fn newer(name: &str, error: &refinery::Error) -> Option<Error> {
    let refinery::error::Kind::MissingVersion(step) = error.kind() else {
        return None;
    };
    let step = step.to_string();
    if STEPS.iter().any(|(known, _)| *known == step) {
        return None;
    }
    Some(Error::unavailable(format!(
        "the database {name} was brought to `{step}` by a newer `shop`; use that one, or restore a \
         backup from before"
    )))
}

fn cannot(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let detail = format!(
        "cannot bring the database `{}` up to date: {error}",
        path.display()
    );
    Error::new(Kind::Unavailable, detail).caused_by(error)
}
