//! Moves a whole database to another, on either engine: every row of every table, in one
//! transaction of the target, read back and compared before it is kept.
//!
//! It knows no table by name but those of floor 1; what there is to move it learns from the schema.

mod end;
mod schema;

use sha2::{Digest, Sha256};

use self::{
    end::{End, Role},
    schema::Table,
};
use super::{Cell, Connection, Location, Row, Sql, Value, placeholders};
use crate::{
    core::error::{Error, Result},
    infra::db::params,
};

/// How many values one statement takes at most: `SQLite` knows 32,766 placeholders.
const MOST_VALUES: usize = 8_000;

/// What became of one table.
#[derive(Debug, serde::Serialize)]
pub struct Moved {
    pub table: String,
    pub rows: u64,
    /// SHA-256 over its rows in the order of its key, the same on both sides.
    pub sha256: String,
}

/// What belongs to a database and does not stand in it, or not on both engines.
pub struct Beside<'a> {
    /// Settings that the source keeps elsewhere, by name.
    pub add: Vec<(&'static str, String)>,
    /// Settings that neither keeps: handed over before the commit.
    pub carry: Vec<(&'static str, String)>,
    /// Settings that the target keeps elsewhere: taken out, and handed over before the commit.
    pub take: &'a [&'static str],
    pub keep: &'a mut dyn FnMut(&str, &str) -> Result<()>,
    /// Which files are handed to `file`.
    pub files: Files<'a>,
    pub file: &'a mut dyn FnMut(&str) -> Result<()>,
}

/// Files beside a database.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The table and the column that name them.
    pub table: &'a str,
    pub column: &'a str,
    /// The column that is not null where a row's file is elsewhere.
    pub elsewhere: &'a str,
}

/// Hands over the name of every file of the database, from a snapshot. Blocks.
pub fn each_file(
    from: &Location,
    files: Files<'_>,
    each: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let Files {
        table,
        column,
        elsewhere,
    } = files;
    let mut source = End::open(from, Role::Source)?;
    source.begin()?;
    let sql = format!("SELECT {column} FROM {table} WHERE {elsewhere} IS NULL ORDER BY {column}");
    let read = source.connection().query(Sql::from(&sql), &[], &mut |row| {
        each(row.get(0)?)?;
        Ok(true)
    });
    source.roll_back()?;
    read
}

/// Copies everything from one database to the other, which must be empty. `progress` is told how
/// many rows there are, then with each step how many are done. Blocks.
pub fn transfer(
    from: &Location,
    to: &Location,
    beside: Beside<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Moved>> {
    let tables = schema::tables()?;
    let mut source = End::open(from, Role::Source)?;
    let mut target = End::open(to, Role::Target)?;
    source.begin()?;
    target.begin()?;
    let moved = copy(&tables, &mut source, &mut target, beside, progress);
    match moved {
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
    source: &mut End,
    target: &mut End,
    mut beside: Beside<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Moved>> {
    for table in tables {
        if holds_rows(target.connection(), table)? {
            return Err(Error::unavailable(format!(
                "the target is not empty: `{}` has rows; name a new database",
                table.name
            )));
        }
    }
    // The migrations' own rows come from the source like all others.
    target
        .connection()
        .execute(Sql::from("DELETE FROM kept_counts"), &[])?;
    let mut all = 0;
    for table in tables {
        all += count(source.connection(), table)?;
    }
    progress(0, all);
    let mut done = 0;
    let mut moved = Vec::new();
    for table in tables {
        let mut batch = Batch::new(table);
        let written = target.connection();
        let files = beside.files;
        let place = |name: &str| table.columns.iter().position(|column| column == name);
        let file = (table.name == files.table)
            .then(|| place(files.column).zip(place(files.elsewhere)))
            .flatten();
        let read = digest(source.connection(), table, &mut |row| {
            batch.push(row)?;
            if let Some((name, elsewhere)) = file
                && row.get::<Option<&str>>(elsewhere)?.is_none()
            {
                (beside.file)(row.get(name)?)?;
            }
            if batch.is_full() {
                batch.write(written)?;
            }
            done += 1;
            progress(done, all);
            Ok(())
        })?;
        batch.write(written)?;
        moved.push(read);
    }
    for (table, sent) in tables.iter().zip(&moved) {
        let arrived = digest(target.connection(), table, &mut |_| Ok(()))?;
        if (arrived.rows, &arrived.sha256) != (sent.rows, &sent.sha256) {
            return Err(Error::unavailable(format!(
                "the copy of `{}` is not what was read ({} rows of {}); nothing was kept",
                table.name, arrived.rows, sent.rows
            )));
        }
    }
    move_secrets(target.connection(), &mut beside)?;
    Ok(moved)
}

fn move_secrets(target: &mut dyn Connection, beside: &mut Beside<'_>) -> Result<()> {
    for (name, value) in &beside.add {
        target.execute(
            Sql::from(
                "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
            ),
            params![*name, value],
        )?;
    }
    for (name, value) in &beside.carry {
        (beside.keep)(name, value)?;
    }
    for name in beside.take {
        let mut value = None;
        let sql = Sql::from("SELECT value FROM settings WHERE name = ?1");
        target.query(sql, params![*name], &mut |row| {
            value = Some(row.get::<String>(0)?);
            Ok(false)
        })?;
        if let Some(value) = value {
            (beside.keep)(name, &value)?;
            let sql = Sql::from("DELETE FROM settings WHERE name = ?1");
            target.execute(sql, params![*name])?;
        }
    }
    Ok(())
}

/// Whether somebody has written into the table, beside the migrations.
fn holds_rows(connection: &mut dyn Connection, table: &Table) -> Result<bool> {
    let rest = if table.name == "kept_counts" {
        " WHERE value <> 0"
    } else {
        ""
    };
    let sql = format!("SELECT 1 FROM {}{rest} LIMIT 1", table.name);
    let mut found = false;
    connection.query(Sql::from(&sql), &[], &mut |_| {
        found = true;
        Ok(false)
    })?;
    Ok(found)
}

fn count(connection: &mut dyn Connection, table: &Table) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {}", table.name);
    let mut count = 0;
    connection.query(Sql::from(&sql), &[], &mut |row| {
        count = row.get::<i64>(0)?.unsigned_abs();
        Ok(false)
    })?;
    Ok(count)
}

/// Hands over every row in the order of the key, and sums them up.
fn digest(
    connection: &mut dyn Connection,
    table: &Table,
    each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
) -> Result<Moved> {
    let sql = format!(
        "SELECT {} FROM {} ORDER BY {}",
        table.columns.join(", "),
        table.name,
        table.key.join(", ")
    );
    let (mut rows, mut hasher) = (0, Sha256::new());
    connection.query(Sql::from(&sql), &[], &mut |row| {
        for at in 0..table.columns.len() {
            feed(&mut hasher, row.cell(at)?);
        }
        rows += 1;
        each(row)?;
        Ok(true)
    })?;
    Ok(Moved {
        table: table.name.clone(),
        rows,
        sha256: hex::encode(hasher.finalize()),
    })
}

/// Kind and length first, so that no two rows read the same.
fn feed(hasher: &mut Sha256, cell: Cell<'_>) {
    let (kind, bytes): (u8, &[u8]) = match &cell {
        Cell::Null => (0, &[]),
        Cell::Int(value) => (1, &value.to_be_bytes()),
        Cell::Text(text) => (2, text.as_bytes()),
        Cell::Blob(bytes) => (3, bytes),
    };
    hasher.update([kind]);
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

/// A cell that outlives its row.
enum Held {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// Rows on their way into a table, written some at a time.
struct Batch<'a> {
    table: &'a Table,
    cells: Vec<Held>,
}

impl<'a> Batch<'a> {
    fn new(table: &'a Table) -> Self {
        Batch {
            table,
            cells: Vec::new(),
        }
    }

    fn push(&mut self, row: &Row<'_>) -> Result<()> {
        for at in 0..self.table.columns.len() {
            self.cells.push(match row.cell(at)? {
                Cell::Null => Held::Null,
                Cell::Int(value) => Held::Int(value),
                Cell::Text(text) => Held::Text(text.to_owned()),
                Cell::Blob(bytes) => Held::Blob(bytes.to_vec()),
            });
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.cells.len() + self.table.columns.len() > MOST_VALUES
    }

    fn write(&mut self, target: &mut dyn Connection) -> Result<()> {
        let columns = self.table.columns.len();
        let rows = self.cells.len() / columns;
        if rows == 0 {
            return Ok(());
        }
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.table.name,
            self.table.columns.join(", "),
            placeholders(columns, rows)
        );
        let values: Vec<Value<'_>> = self
            .cells
            .iter()
            .map(|cell| match cell {
                Held::Null => Value::Null,
                Held::Int(value) => Value::Int(*value),
                Held::Text(text) => Value::Text(text),
                Held::Blob(bytes) => Value::Blob(bytes),
            })
            .collect();
        target.execute(Sql::from(&sql), &values)?;
        self.cells.clear();
        Ok(())
    }
}
