//! A parsed CSV file.

use sha2::{Digest, Sha256};

use super::import_row::{ImportRow, RowError, StockCell};
use crate::domain::catalog::category::CategoryName;

/// The valid rows of a file, and the errors of the others.
#[derive(Debug, Default)]
pub struct ImportFile {
    pub(in crate::domain::catalog) rows: Vec<ImportRow>,
    pub(in crate::domain::catalog) categories: Vec<CategoryName>,
    pub(in crate::domain::catalog) may_repeat: bool,
    /// The digest of the whole file.
    pub(in crate::domain::catalog) sha256: [u8; 32],
    pub(super) row_errors: Vec<RowError>,
}

impl ImportFile {
    /// Allows the file's stock differences to be imported again.
    pub fn repeat(&mut self) {
        self.may_repeat = true;
    }

    /// Returns the errors found without the catalog, ordered by line.
    pub fn row_errors(&self) -> &[RowError] {
        &self.row_errors
    }

    /// Returns the number of valid rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the digest of the file's stock differences, or `None` if it has none. The digest ignores row
    /// order, formatting and all other columns, since only differences add up when applied twice.
    pub(in crate::domain::catalog) fn digest(&self) -> Option<[u8; 32]> {
        let difference = |row: &ImportRow| match (row.id, row.stock) {
            (Some(id), StockCell::Moved { from, to }) if from != to => Some((id, from, to)),
            _ => None,
        };
        let mut differences: Vec<_> = self.rows.iter().filter_map(difference).collect();
        differences.sort_unstable();
        let mut digest = Sha256::new();
        for (id, from, to) in &differences {
            digest.update(id.0.as_bytes());
            digest.update(from.to_be_bytes());
            digest.update(to.to_be_bytes());
        }
        (!differences.is_empty()).then(|| digest.finalize().into())
    }

    pub(super) fn add_row_error(&mut self, line: u64, why: String) {
        self.row_errors.push(RowError { line, why });
    }
}
