//! Multi-row INSERTs.

use super::schema::Table;
use crate::{
    core::error::Result,
    infra::db::{Cell, Connection, Row, Sql, Value, placeholders},
};

/// The maximum number of parameters per statement. `SQLite` allows 32,766.
const MAX_PARAMETERS: usize = 8_000;

/// Rows that wait to be inserted into a table.
pub(super) struct Batch<'a> {
    table: &'a Table,
    cells: Vec<OwnedCell>,
}

/// A [`Cell`] that outlives its row.
enum OwnedCell {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl<'a> Batch<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        Batch {
            table,
            cells: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<()> {
        for index in 0..self.table.columns.len() {
            self.cells.push(match row.cell(index)? {
                Cell::Null => OwnedCell::Null,
                Cell::Int(value) => OwnedCell::Int(value),
                Cell::Text(text) => OwnedCell::Text(text.to_owned()),
                Cell::Blob(bytes) => OwnedCell::Blob(bytes.to_vec()),
            });
        }
        Ok(())
    }

    /// Returns whether another row would exceed the maximum.
    pub(super) fn is_full(&self) -> bool {
        self.cells.len() + self.table.columns.len() > MAX_PARAMETERS
    }

    /// Inserts the rows and clears the batch.
    pub(super) fn insert(&mut self, target: &mut dyn Connection) -> Result<()> {
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
                OwnedCell::Null => Value::Null,
                OwnedCell::Int(value) => Value::Int(*value),
                OwnedCell::Text(text) => Value::Text(text),
                OwnedCell::Blob(bytes) => Value::Blob(bytes),
            })
            .collect();
        target.execute(Sql::from(&sql), &values)?;
        self.cells.clear();
        Ok(())
    }
}
