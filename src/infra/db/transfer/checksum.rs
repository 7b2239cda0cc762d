//! Checksums of tables, independent of the engine.

use sha2::{Digest, Sha256};

use super::schema::Table;
use crate::{
    core::error::Result,
    infra::db::{Cell, Connection, Row, Sql},
};

/// The row count and checksum of a copied table.
#[derive(Debug, serde::Serialize)]
pub struct CopiedTable {
    pub table: String,
    pub rows: u64,
    /// SHA-256 over the rows in primary-key order; equal in source and target.
    pub sha256: String,
}

/// Calls `each` for every row in primary-key order. Returns the checksum of the table.
pub(super) fn checksum(
    connection: &mut dyn Connection,
    table: &Table,
    each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
) -> Result<CopiedTable> {
    let sql = format!(
        "SELECT {} FROM {} ORDER BY {}",
        table.columns.join(", "),
        table.name,
        table.key.join(", ")
    );
    let (mut rows, mut hasher) = (0, Sha256::new());
    connection.query(Sql::from(&sql), &[], &mut |row| {
        for index in 0..table.columns.len() {
            hash_cell(&mut hasher, row.cell(index)?);
        }
        rows += 1;
        each(row)?;
        Ok(true)
    })?;
    Ok(CopiedTable {
        table: table.name.clone(),
        rows,
        sha256: hex::encode(hasher.finalize()),
    })
}

/// Hashes a cell with its type and length first, so that different rows have different encodings.
pub(crate) fn hash_cell(hasher: &mut Sha256, cell: Cell<'_>) {
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
