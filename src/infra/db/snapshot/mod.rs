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
    facts::{Facts, Replaced, facts, files, replaced},
    restore::{detach, into_postgres},
};
use super::{Location, migrate, postgres, sqlite::wal::Mark, transfer};
use crate::core::error::{Error, Result};

/// Copies the database to the new file `to`. Calls `progress` with the copied and the total number of pages or
/// rows. Blocks.
///
/// Returns the position of the copy in the WAL of a `SQLite` database, if that is archived.
///
/// Errors: `unavailable` if the database cannot be read, `command_failed` if a Postgres database has another schema
/// version than this program.
pub fn copy(
    from: &Location,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Mark>> {
    match from {
        Location::Sqlite(path) => pages::copy(path, to, progress),
        Location::Postgres(target) => {
            let found = facts::postgres_schema(target)?;
            let known = i64::from(migrate::latest_version());
            if found != known {
                return Err(Error::command_failed(format!(
                    "the database {} has schema version {found}, and this program copies version {known}; back it \
                     up with the version of `shop` that its servers run",
                    target.name()
                )));
            }
            // Those without a number are not copied.
            postgres::sequence_events(target)?;
            transfer::copy_running(from, &Location::Sqlite(to.to_owned()), progress)?;
            Ok(None)
        }
    }
}
