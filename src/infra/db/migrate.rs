//! Schema migrations, applied in order by `refinery`.
//!
//! Each migration is one SQL text for both engines. Tokens such as `{int}` mark what differs and are replaced
//! before it runs. `migrations/README.md` explains how to add a migration.

use std::path::Path;

use refinery_core::{Migration, Runner};
use rusqlite::config::DbConfig;

use super::{
    Location,
    postgres::Target,
    sqlite::{self, wal},
};
use crate::{
    core::error::{Error, Kind, Result, chain, root_cause},
    infra::file_modes,
};

/// All migrations, oldest first. Never edit a merged one.
const MIGRATIONS: &[(&str, &str)] = &[
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
    (
        "V21__jobs",
        include_str!("../../../migrations/V21__jobs.sql"),
    ),
    (
        "V22__payment_event_outcomes",
        include_str!("../../../migrations/V22__payment_event_outcomes.sql"),
    ),
    (
        "V23__unread_words",
        include_str!("../../../migrations/V23__unread_words.sql"),
    ),
    (
        "V24__refund_failures",
        include_str!("../../../migrations/V24__refund_failures.sql"),
    ),
    (
        "V25__audit",
        include_str!("../../../migrations/V25__audit.sql"),
    ),
    (
        "V26__sold_out",
        include_str!("../../../migrations/V26__sold_out.sql"),
    ),
    (
        "V27__price_terms",
        include_str!("../../../migrations/V27__price_terms.sql"),
    ),
    (
        "V28__variants",
        include_str!("../../../migrations/V28__variants.sql"),
    ),
    (
        "V29__bitmap_search",
        include_str!("../../../migrations/V29__bitmap_search.sql"),
    ),
    (
        "V30__sales_by_variant",
        include_str!("../../../migrations/V30__sales_by_variant.sql"),
    ),
    (
        "V31__product_options",
        include_str!("../../../migrations/V31__product_options.sql"),
    ),
    (
        "V32__guest_carts",
        include_str!("../../../migrations/V32__guest_carts.sql"),
    ),
    (
        "V33__collections",
        include_str!("../../../migrations/V33__collections.sql"),
    ),
];

/// The token replacements for `SQLite`. STRICT tables enforce column types.
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
    // Before `{words_anew}`, which it has.
    (
        "{sold_out}",
        include_str!("../../../migrations/V26__sold_out.sqlite.sql"),
    ),
    (
        "{words_anew}",
        include_str!("../../../migrations/V15__postings.sqlite.sql"),
    ),
    ("{data_without_link}", "json_remove(data, '$.link')"),
    ("{unread_words}", ""),
    (
        "{append_only_audit}",
        include_str!("../../../migrations/V25__audit.sqlite.sql"),
    ),
    (
        "{without_full_text}",
        include_str!("../../../migrations/V29__bitmap_search.sqlite.sql"),
    ),
];

/// The token replacements for Postgres. Collation "C" compares texts by bytes, as `SQLite` does, regardless
/// of the database's locale.
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
    (
        "{sold_out}",
        include_str!("../../../migrations/V26__sold_out.postgres.sql"),
    ),
    ("{data_without_link}", "(data::jsonb - 'link')::text"),
    (
        "{unread_words}",
        include_str!("../../../migrations/V23__unread_words.postgres.sql"),
    ),
    (
        "{append_only_audit}",
        include_str!("../../../migrations/V25__audit.postgres.sql"),
    ),
    ("{without_full_text}", ""),
    (" TEXT", " TEXT COLLATE \"C\""),
];

/// Returns the schema version of this program: the number of its last migration.
pub fn latest_version() -> u32 {
    version_of(MIGRATIONS.last().map_or("", |(name, _)| name))
}

/// Returns the names of the migrations that a schema of this version lacks, oldest first.
pub fn pending(version: u32) -> Vec<&'static str> {
    let names = MIGRATIONS.iter().map(|(name, _)| *name);
    names.filter(|name| version_of(name) > version).collect()
}

/// Returns the number in a migration's name, e.g. 11 of `V11__search`.
fn version_of(name: &str) -> u32 {
    let digits = name.trim_start_matches('V').split("__").next();
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

/// Runs the pending migrations of the database at `location`, which [`Location::check`] has checked. Blocks.
/// Returns how many it ran.
///
/// Errors: `unavailable`, e.g. if a newer version of the program has migrated the database.
pub fn run(location: &Location) -> Result<usize> {
    match location {
        Location::Sqlite(path) => sqlite(path, latest_version()),
        Location::Postgres(target) => postgres(target, |_| Ok(())),
    }
}

/// Like [`run`], but calls `prepare` with the version of an existing schema first, unless nothing is pending. Of several
/// instances only the one that migrates calls it, while the others wait.
///
/// Errors: those of `prepare`; nothing is migrated then.
pub fn run_after(location: &Location, prepare: impl FnOnce(u32) -> Result<()>) -> Result<usize> {
    match location {
        Location::Sqlite(path) => {
            prepare_if_pending(location.version()?, prepare)?;
            sqlite(path, latest_version())
        }
        Location::Postgres(target) => postgres(target, prepare),
    }
}

fn prepare_if_pending(version: Option<u32>, prepare: impl FnOnce(u32) -> Result<()>) -> Result<()> {
    match version {
        Some(version) if !pending(version).is_empty() => prepare(version),
        _ => Ok(()),
    }
}

/// Migrates the `SQLite` file at `path` to a version of the schema; creates it if missing. Returns the number of
/// applied migrations.
///
/// Errors: `unavailable`, e.g. if a newer version of the program has migrated the file.
pub(super) fn sqlite(path: &Path, version: u32) -> Result<usize> {
    // `SQLite` creates the WAL and the shared-memory file with the permissions of the database file.
    file_modes::create_if_missing(path).map_err(|e| cannot_migrate(path, e))?;
    let mut connection = rusqlite::Connection::open(path).map_err(|e| cannot_migrate(path, e))?;
    connection
        .pragma_update(None, "journal_mode", "wal")
        .and_then(|()| connection.pragma_update(None, "synchronous", "full"))
        .and_then(|()| wal::keep_if_archived(&connection, path))
        .map_err(|e| cannot_migrate(path, e))?;
    let runner = up_to(sqlite_runner()?, version);
    let report = runner.run(&mut connection).map_err(|error| {
        // Closing would run a checkpoint, but an fsync may just have failed.
        let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if let Err(error) = connection.set_db_config(no_checkpoint, true) {
            tracing::warn!(%error, "cannot disable the checkpoint on close");
        }
        migrated_by_newer(&format!("`{}`", path.display()), &error)
            .unwrap_or_else(|| cannot_migrate(path, error))
    })?;
    Ok(report.applied_migrations().len())
}

/// Migrates the Postgres database. An advisory lock makes concurrently starting instances wait for the first.
/// Returns the number of applied migrations.
///
/// Errors: `unavailable`, e.g. if a newer version of the program has migrated the database.
fn postgres(target: &Target, prepare: impl FnOnce(u32) -> Result<()>) -> Result<usize> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        let (name, why, remedy) = (target.name(), chain(error), remedy(error));
        Error::unavailable(format!("cannot migrate the database {name}: {why}{remedy}"))
    };
    let mut client = target.connect()?;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&SCHEMA_LOCK])
        .map_err(|e| failed(&e))?;
    prepare_if_pending(target.check(&mut client)?, prepare)?;
    let report = postgres_runner()?.run(&mut client).map_err(|error| {
        migrated_by_newer(&target.name(), &error).unwrap_or_else(|| failed(&error))
    })?;
    // Closing the connection releases the advisory lock.
    Ok(report.applied_migrations().len())
}

/// Returns an empty in-memory database with this version of the schema.
pub(super) fn in_memory(version: u32) -> Result<rusqlite::Connection> {
    let mut connection = rusqlite::Connection::open_in_memory().map_err(Error::internal)?;
    up_to(sqlite_runner()?, version)
        .run(&mut connection)
        .map_err(Error::internal)?;
    Ok(connection)
}

/// The key of the advisory lock held while migrating, and by commands that need exclusive access. The value
/// is arbitrary.
pub(super) const SCHEMA_LOCK: i64 = 0x5348_4f50_0001;

/// Limits the migrations to those up to a version.
fn up_to(runner: Runner, version: u32) -> Runner {
    let version = i32::try_from(version).unwrap_or(i32::MAX);
    runner.set_target(refinery_core::Target::Version(version))
}

/// Returns what runs all migrations on `SQLite`, or those up to a version (`Runner::set_target`).
pub fn sqlite_runner() -> Result<Runner> {
    runner(SQLITE)
}

/// Like [`sqlite_runner`], for Postgres.
pub fn postgres_runner() -> Result<Runner> {
    runner(POSTGRES)
}

fn runner(tokens: &[(&str, &str)]) -> Result<Runner> {
    let migrations = MIGRATIONS
        .iter()
        .map(|(name, text)| {
            let text = tokens
                .iter()
                .fold((*text).to_owned(), |text, (token, replacement)| {
                    text.replace(token, replacement)
                });
            Migration::unapplied(name, &text).map_err(Error::internal)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Runner::new(&migrations)
        .set_grouped(true)
        .set_abort_missing(true)
        .set_abort_divergent(true))
}

/// Returns the error for a database with a migration that this program does not know.
fn migrated_by_newer(name: &str, error: &refinery_core::Error) -> Option<Error> {
    let refinery_core::error::Kind::MissingVersion(migration) = error.kind() else {
        return None;
    };
    let migration = migration.to_string();
    if MIGRATIONS.iter().any(|(known, _)| *known == migration) {
        return None;
    }
    Some(Error::unavailable(format!(
        "the database {name} was migrated to `{migration}` by a newer version of `shop`; run that \
         version, or restore an older backup"
    )))
}

fn cannot_migrate(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let is_full = root_cause(&error)
        .downcast_ref()
        .copied()
        .is_some_and(sqlite::is_disk_full);
    let (kind, why) = if is_full {
        let why = "the disk is full; make space on it, then try again".to_owned();
        (Kind::StorageFull, why)
    } else {
        (Kind::Unavailable, format!("{error}{}", remedy(&error)))
    };
    let detail = format!("cannot migrate the database `{}`: {why}", path.display());
    Error::new(kind, detail).caused_by(error)
}

/// Returns the end of the message for a failed migration.
fn remedy(error: &(dyn std::error::Error + 'static)) -> &'static str {
    use refinery_core::error::Kind;
    let error = error.downcast_ref::<refinery_core::Error>();
    match error.map(refinery_core::Error::kind) {
        // Another program has changed the table of migrations.
        Some(Kind::DivergentVersion(..) | Kind::MissingVersion(_)) => {
            "; the database is damaged: restore a backup with `shop restore`"
        }
        _ => "",
    }
}
