//! What a snapshot contains, and what a restore replaces.

use std::{collections::BTreeMap, path::Path};

use crate::{
    core::error::Result,
    infra::db::{
        Connection, Location, Sql, params, postgres,
        sqlite::{self, failure},
        transfer::{self, FileColumn},
    },
};

/// The version of a database's schema: that of its last migration.
const SCHEMA: &str = "SELECT CAST(max(version) AS BIGINT) AS number FROM refinery_schema_history";

/// The first version of the schema that has settings.
const SETTINGS: i64 = 6;

/// The sequence number of the newest event.
const HEAD: &str = "SELECT max(seq) AS number FROM events";

/// What a snapshot contains.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The version of the last migration.
    pub schema: i64,
    /// The sequence number of the newest event; 0 if there is none.
    pub seq: i64,
    /// The number of rows of each table, apart from those that are derived from others.
    pub rows: BTreeMap<String, u64>,
}

/// Reads what a snapshot contains. It may have the schema of an earlier version.
pub fn facts(snapshot: &Path) -> Result<Facts> {
    in_snapshot(snapshot, |connection| {
        let schema = number(connection, SCHEMA)?;
        let seq = if has_column(connection, "events", "seq")? {
            number(connection, HEAD)?
        } else {
            0
        };
        let mut tables = Vec::new();
        connection.query(Sql::from(transfer::TABLES), &[], &mut |row| {
            tables.push(row.get::<String>("name")?);
            Ok(true)
        })?;
        let mut rows = BTreeMap::new();
        for table in tables {
            let sql = format!("SELECT count(*) AS number FROM {table}");
            let count = number(connection, &sql)?;
            rows.insert(table, count.unsigned_abs());
        }
        Ok(Facts { schema, seq, rows })
    })
}

/// Returns the names of the files that a snapshot refers to, and how many others a remote service stores.
pub fn files(snapshot: &Path, files: FileColumn) -> Result<(Vec<String>, u64)> {
    let FileColumn {
        table,
        column,
        external_url_column,
    } = files;
    in_snapshot(snapshot, |connection| {
        let (mut names, mut remote) = (Vec::new(), 0);
        if !has_column(connection, table, column)? {
            return Ok((names, remote));
        }
        let external_url = if has_column(connection, table, external_url_column)? {
            external_url_column
        } else {
            "NULL"
        };
        let sql = format!("SELECT {column} AS name, {external_url} AS external_url FROM {table}");
        connection.query(Sql::from(&sql), &[], &mut |row| {
            match row.get::<Option<&str>>("external_url")? {
                None => names.push(row.get("name")?),
                Some(_) => remote += 1,
            }
            Ok(true)
        })?;
        names.sort_unstable();
        names.dedup();
        Ok((names, remote))
    })
}

/// What a restore needs from the database that it replaces.
#[derive(Debug, Default)]
pub struct Replaced {
    /// The sequence number of the newest event.
    pub head: i64,
    /// Settings, by name.
    pub settings: Vec<(String, String)>,
}

/// Reads the newest sequence number and the settings `names` of a database that is about to be replaced.
pub fn replaced(location: &Location, names: &[&str]) -> Result<Replaced> {
    in_database(location, |connection| {
        Ok(Replaced {
            head: number(connection, HEAD)?,
            settings: read_settings(connection, names)?,
        })
    })
}

/// Reads the settings `names` of a database, whose schema may be that of an earlier version.
pub fn settings(location: &Location, names: &[&str]) -> Result<Vec<(String, String)>> {
    in_database(location, |connection| {
        if number(connection, SCHEMA)? < SETTINGS {
            return Ok(Vec::new());
        }
        read_settings(connection, names)
    })
}

fn in_database<T>(
    location: &Location,
    read: impl FnOnce(&mut dyn Connection) -> Result<T>,
) -> Result<T> {
    match location {
        Location::Sqlite(path) => in_snapshot(path, read),
        Location::Postgres(target) => read(&mut postgres::open_reader(target)?),
    }
}

fn read_settings(connection: &mut dyn Connection, names: &[&str]) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    for name in names {
        let sql = Sql::from("SELECT value FROM settings WHERE name = ?1");
        connection.query(sql, params![*name], &mut |row| {
            settings.push(((*name).to_owned(), row.get::<String>("value")?));
            Ok(false)
        })?;
    }
    Ok(settings)
}

/// Returns the schema version of a Postgres database; 0 if it has no schema.
pub(super) fn postgres_schema(target: &postgres::Target) -> Result<i64> {
    let mut connection = postgres::open_reader(target)?;
    let is_there = "SELECT CAST(count(to_regclass('refinery_schema_history')) AS BIGINT) AS number";
    match number(&mut connection, is_there)? {
        0 => Ok(0),
        _ => number(&mut connection, SCHEMA),
    }
}

/// Returns whether a snapshot has this column. The schemas of earlier versions lack some.
pub(super) fn has_column(
    connection: &mut dyn Connection,
    table: &str,
    column: &str,
) -> Result<bool> {
    let sql = "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2";
    let mut found = false;
    connection.query(Sql::from(sql), params![table, column], &mut |_| {
        found = true;
        Ok(false)
    })?;
    Ok(found)
}

/// Runs `read` in a read transaction of a file.
fn in_snapshot<T>(path: &Path, read: impl FnOnce(&mut dyn Connection) -> Result<T>) -> Result<T> {
    let mut connection = sqlite::open_standalone(path, false)?;
    sqlite::run(&connection, "BEGIN")?;
    let result = read(&mut connection)?;
    sqlite::run(&connection, "COMMIT")?;
    connection.close().map_err(|(_, error)| failure(error))?;
    Ok(result)
}

/// Returns the column `number` of a query with one row; 0 for NULL.
fn number(connection: &mut dyn Connection, sql: &str) -> Result<i64> {
    let mut found = 0;
    connection.query(Sql::from(sql), &[], &mut |row| {
        found = row.get::<Option<i64>>("number")?.unwrap_or_default();
        Ok(false)
    })?;
    Ok(found)
}
