//! Result rows.

use super::{Cell, Column};
use crate::core::error::{Error, Result};

/// A result row; valid until the next row is read.
pub struct Row<'a>(&'a dyn Cells);

/// A result row of an engine.
pub(crate) trait Cells {
    fn cell(&self, index: usize) -> Result<Cell<'_>>;
}

impl<'a> Row<'a> {
    pub(crate) fn new(cells: &'a dyn Cells) -> Self {
        Row(cells)
    }

    pub(crate) fn cell(&self, index: usize) -> Result<Cell<'_>> {
        self.0.cell(index)
    }

    /// Returns the column at `index`, from 0. Errors: `Internal` if the column has another type.
    pub fn get<T: Column<'a>>(&self, index: usize) -> Result<T> {
        let cell = self.0.cell(index)?;
        T::from_cell(cell).ok_or_else(|| {
            Error::internal(format!(
                "column {index} has the value {cell:?}, not the requested type"
            ))
        })
    }
}
