//! Puts a snapshot in the place of a database.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::{
    core::error::{Error, Result},
    infra::db::{
        Location,
        postgres::{NewSchema, Target},
        sqlite::{self, failure},
        transfer::{ExternalData, FileColumn, transfer},
    },
};

/// Copies a snapshot into a Postgres database, with these additional settings. With `aside`, the current schema
/// keeps its data under this name; without, it must be empty. Blocks.
///
/// The old schema is replaced in one transaction after the copy is complete, so the database always has either.
///
/// Errors: `unavailable` if a server or a command uses the database, or the schema is not empty.
pub fn into_postgres(
    snapshot: &Path,
    target: &Target,
    settings: Vec<(&'static str, String)>,
    aside: Option<&str>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let from = Location::Sqlite(snapshot.to_owned());
    let external = ExternalData {
        file_to_database: settings,
        file_to_file: Vec::new(),
        database_to_file: &[],
        store_in_file: &mut |_, _| Ok(()),
        file_column: FileColumn::NONE,
        copy_file: &mut |_| Ok(()),
    };
    let Some(aside) = aside else {
        let to = Location::Postgres(Box::new(target.clone()));
        return transfer(&from, &to, external, progress).map(drop);
    };
    let suffix = aside.rsplit('_').next().unwrap_or(aside);
    let new = NewSchema::create(target, suffix)?;
    let to = Location::Postgres(Box::new(new.target()));
    transfer(&from, &to, external, progress)?;
    new.replace_current(aside)
}

/// Moves everything that the WAL of a database holds into its file, and deletes the WAL, so that the file can be
/// replaced: a WAL beside another file would corrupt it.
///
/// Errors: `unavailable` if another process has the file open, or it is damaged.
pub fn detach(path: &Path) -> Result<()> {
    let connection = sqlite::open_standalone(path, true)?;
    // This needs exclusive access, so it fails while another process has the file open.
    let mode: rusqlite::Result<String> =
        connection.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0));
    let is_free = match mode {
        Ok(mode) => mode == "delete",
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => false,
        Err(error) => return Err(failure(error)),
    };
    connection.close().map_err(|(_, error)| failure(error))?;
    if is_free {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "another command uses `{}`; wait until it ends",
        path.display()
    )))
}
