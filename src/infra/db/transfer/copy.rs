//! The copy itself: rows, and the values that belong to a database but are stored outside it.

use std::path::Path;

use super::{
    batch::Batch,
    checksum::{CopiedTable, checksum},
    endpoint::{Endpoint, Role},
    schema::{self, Table},
};
use crate::{
    core::error::{Error, Result},
    infra::db::{Connection, Location, Sql, migrate, params},
};

/// Values that belong to a database but are stored outside it, on one engine or both: secrets and image
/// files.
pub struct ExternalData<'a> {
    /// Settings that only the source stores in files. They are inserted into the target's `settings` table.
    pub file_to_database: Vec<(&'static str, String)>,
    /// Settings that both store in files. They are passed to `store_in_file` before the commit.
    pub file_to_file: Vec<(&'static str, String)>,
    /// Settings that only the target stores in files. They are removed from its `settings` table and passed to
    /// `store_in_file` before the commit.
    pub database_to_file: &'a [&'static str],
    /// Stores a setting of the target in a file.
    pub store_in_file: &'a mut dyn FnMut(&str, &str) -> Result<()>,
    /// The column with the names of the files.
    pub file_column: FileColumn,
    /// Copies a file, given its name.
    pub copy_file: &'a mut dyn FnMut(&str) -> Result<()>,
}

/// The column that names files outside the database.
#[derive(Debug, Clone, Copy)]
pub struct FileColumn {
    pub table: &'static str,
    pub column: &'static str,
    /// A column that is not null if a remote service stores the row's file, so that it is not copied.
    pub external_url_column: &'static str,
}

impl FileColumn {
    /// No table has names of files.
    pub const NONE: FileColumn = FileColumn {
        table: "",
        column: "",
        external_url_column: "",
    };
}

/// The table into which migrations insert rows.
const COUNTS: &str = "kept_counts";

/// Calls `each` with the name of every file of the database, in one snapshot. Blocks.
pub fn for_each_file(
    from: &Location,
    files: FileColumn,
    each: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let FileColumn {
        table,
        column,
        external_url_column,
    } = files;
    let mut source = Endpoint::open(from, Role::Source)?;
    source.begin()?;
    let sql = format!(
        "SELECT {column} AS name FROM {table} WHERE {external_url_column} IS NULL ORDER BY {column}"
    );
    let read = source.connection().query(Sql::from(&sql), &[], &mut |row| {
        each(row.get("name")?)?;
        Ok(true)
    });
    source.roll_back()?;
    read
}

/// Copies all tables from `from` to `to`, which must be empty. Calls `progress` with the number of copied
/// rows and the total. Blocks.
///
/// Errors: `CommandFailed` if the target is not empty or a checksum differs; the target is then unchanged.
pub fn transfer(
    from: &Location,
    to: &Location,
    external: ExternalData<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<CopiedTable>> {
    let source = Endpoint::open(from, Role::Source)?;
    let target = Endpoint::open(to, Role::Target)?;
    run(
        migrate::latest_version(),
        source,
        target,
        external,
        progress,
    )
}

/// Like [`transfer`], from a database that servers are using, whose schema has this version, into a new `SQLite` file
/// with the same one. Settings are copied as they are, files are not.
pub(in crate::infra::db) fn copy_running(
    version: u32,
    from: &Location,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<CopiedTable>> {
    let database_only = ExternalData {
        file_to_database: Vec::new(),
        file_to_file: Vec::new(),
        database_to_file: &[],
        store_in_file: &mut |_, _| Ok(()),
        file_column: FileColumn::NONE,
        copy_file: &mut |_| Ok(()),
    };
    let source = Endpoint::open(from, Role::Running)?;
    let target = Endpoint::create(to, version)?;
    run(version, source, target, database_only, progress)
}

/// Copies between two databases whose schemas have this version.
fn run(
    version: u32,
    mut source: Endpoint,
    mut target: Endpoint,
    external: ExternalData<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<CopiedTable>> {
    let tables = schema::tables(version)?;
    source.begin()?;
    target.begin()?;
    match copy(&tables, &mut source, &mut target, external, progress) {
        Ok(moved) => {
            target.commit()?;
            Ok(moved)
        }
        Err(error) => {
            target.roll_back()?;
            Err(error)
        }
    }
}

fn copy(
    tables: &[Table],
    source: &mut Endpoint,
    target: &mut Endpoint,
    mut external: ExternalData<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<CopiedTable>> {
    for table in tables {
        if has_data(target.connection(), table)? {
            return Err(Error::command_failed(format!(
                "the target is not empty: `{}` has rows; use a new database",
                table.name
            )));
        }
    }
    if tables.iter().any(|table| table.name == COUNTS) {
        // The rows that the migrations inserted are copied from the source.
        let sql = Sql::from("DELETE FROM kept_counts");
        target.connection().execute(sql, &[])?;
    }
    let mut total = 0;
    for table in tables {
        total += count(source.connection(), table)?;
    }
    progress(0, total);
    let mut done = 0;
    let mut moved = Vec::new();
    for table in tables {
        let mut batch = Batch::new(table);
        let target = target.connection();
        let files = external.file_column;
        let names_files = table.name == files.table;
        let read = checksum(source.connection(), table, &mut |row| {
            batch.push(row)?;
            if names_files
                && row
                    .get::<Option<&str>>(files.external_url_column)?
                    .is_none()
            {
                (external.copy_file)(row.get(files.column)?)?;
            }
            if batch.is_full() {
                batch.insert(target)?;
            }
            done += 1;
            progress(done, total);
            Ok(())
        })?;
        batch.insert(target)?;
        moved.push(read);
    }
    for (table, sent) in tables.iter().zip(&moved) {
        let arrived = checksum(target.connection(), table, &mut |_| Ok(()))?;
        if (arrived.rows, &arrived.sha256) != (sent.rows, &sent.sha256) {
            return Err(Error::command_failed(format!(
                "the copy of `{}` differs from the source ({} rows of {}); nothing was written",
                table.name, arrived.rows, sent.rows
            )));
        }
    }
    move_secrets(target.connection(), &mut external)?;
    Ok(moved)
}

fn move_secrets(target: &mut dyn Connection, external: &mut ExternalData<'_>) -> Result<()> {
    for (name, value) in &external.file_to_database {
        target.execute(
            Sql::from(
                "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
            ),
            params![*name, value],
        )?;
    }
    for (name, value) in &external.file_to_file {
        (external.store_in_file)(name, value)?;
    }
    for name in external.database_to_file {
        let mut value = None;
        let sql = Sql::from("SELECT value FROM settings WHERE name = ?1");
        target.query(sql, params![*name], &mut |row| {
            value = Some(row.get::<String>("value")?);
            Ok(false)
        })?;
        if let Some(value) = value {
            (external.store_in_file)(name, &value)?;
            let sql = Sql::from("DELETE FROM settings WHERE name = ?1");
            target.execute(sql, params![*name])?;
        }
    }
    Ok(())
}

/// Returns whether the table has rows other than those of the migrations.
fn has_data(connection: &mut dyn Connection, table: &Table) -> Result<bool> {
    let filter = if table.name == COUNTS {
        " WHERE value <> 0"
    } else {
        ""
    };
    let sql = format!("SELECT 1 FROM {}{filter} LIMIT 1", table.name);
    let mut found = false;
    connection.query(Sql::from(&sql), &[], &mut |_| {
        found = true;
        Ok(false)
    })?;
    Ok(found)
}

fn count(connection: &mut dyn Connection, table: &Table) -> Result<u64> {
    let sql = format!("SELECT count(*) AS count FROM {}", table.name);
    let mut count = 0;
    connection.query(Sql::from(&sql), &[], &mut |row| {
        count = row.get::<i64>("count")?.unsigned_abs();
        Ok(false)
    })?;
    Ok(count)
}
