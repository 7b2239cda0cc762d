//! Snapshots: a consistent copy of a database in one `SQLite` file, taken while servers use the database.
//!
//! - `SQLite` is copied page by page (`pages`), Postgres row by row in one REPEATABLE READ transaction
//!   ([`super::transfer`]). Both give the same schema, so a snapshot of one engine can be restored into the other.
//! - A snapshot is not edited by the copy itself: [`remove_settings`] removes the keys from it, and
//!   [`restart_events`] prepares it for a restore.

mod edit;
mod facts;
mod pages;
mod restore;

use std::path::Path;

pub use self::{
    edit::{has_settings, remove_settings, restart_events},
    facts::{Facts, Replaced, facts, files, replaced, settings},
    restore::{detach, into_postgres},
};
use super::{Location, migrate, postgres, sqlite::wal::Mark, transfer};
use crate::core::error::{Error, Result};

/// The first version of the schema with an audit log.
const AUDIT_LOG: u32 = 25;

/// Copies the database to the new file `to`, with the version of its schema, which may be an earlier one. Calls
/// `progress` with the copied and the total number of pages or rows. Blocks.
///
/// Returns the position of the copy in the WAL of a `SQLite` database, if that is archived.
///
/// Errors: `unavailable` if the database cannot be read, `command_failed` if a newer version of the program has migrated
/// a Postgres database.
pub fn copy(
    from: &Location,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Mark>> {
    match from {
        Location::Sqlite(path) => pages::copy(path, to, progress),
        Location::Postgres(target) => {
            let found = facts::postgres_schema(target)?;
            let known = migrate::latest_version();
            let version = u32::try_from(found)
                .ok()
                .filter(|found| (1..=known).contains(found));
            let version = version.ok_or_else(|| {
                Error::command_failed(format!(
                    "the database {} has schema version {found}, and this program copies versions up to {known}; back \
                     it up with the version of `shop` that its servers run",
                    target.name()
                ))
            })?;
            // What has no number is not copied. Events are not needed: a restore replaces all of them.
            if version >= AUDIT_LOG {
                postgres::sequence_events(target)?;
            }
            transfer::copy_running(version, from, to, progress)?;
            Ok(None)
        }
    }
}
