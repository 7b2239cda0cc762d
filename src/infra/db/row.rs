//! Result rows. Columns are read by name.

use std::{
    cell::{self, RefCell},
    ptr,
};

use super::{Cell, Column};
use crate::core::error::{Error, Result};

/// A result row; valid until the next row is read.
pub struct Row<'a> {
    cells: &'a dyn Cells,
    names: &'a ColumnNames,
    /// The index after the column that was read last: columns are mostly read in the order of the query.
    next: cell::Cell<usize>,
}

/// A result row of an engine.
pub(crate) trait Cells {
    fn cell(&self, index: usize) -> Result<Cell<'_>>;

    /// Returns the name of a column, or `None` if there are fewer columns.
    fn name(&self, index: usize) -> Option<&str>;
}

/// Remembers which column has which name: entry `i` is the name by which column `i` was read, or empty. So a
/// name is looked up in the engine once per result.
#[derive(Default)]
pub(crate) struct ColumnNames(RefCell<Vec<&'static str>>);

impl<'a> Row<'a> {
    pub(crate) fn new(cells: &'a dyn Cells, names: &'a ColumnNames) -> Self {
        Row {
            cells,
            names,
            next: cell::Cell::new(0),
        }
    }

    pub(crate) fn cell(&self, index: usize) -> Result<Cell<'_>> {
        self.cells.cell(index)
    }

    /// Returns the value of a column. Errors: `Internal` if the query has no such column, or it has another
    /// type.
    pub fn get<T: Column<'a>>(&self, column: &'static str) -> Result<T> {
        let index = self.index_of(column)?;
        let cell = self.cells.cell(index)?;
        T::from_cell(cell).ok_or_else(|| {
            Error::internal(format!(
                "column `{column}` has the value {cell:?}, not the requested type"
            ))
        })
    }

    fn index_of(&self, column: &'static str) -> Result<usize> {
        let next = self.next.get();
        let names = self.names.0.borrow();
        // After the first row it is the same literal.
        let is_next =
            (names.get(next)).is_some_and(|name| ptr::eq(*name, column) || *name == column);
        drop(names);
        let index = if is_next {
            next
        } else {
            self.find(column, next)?
        };
        self.next.set(index + 1);
        Ok(index)
    }

    /// Finds a column that is not the next known one.
    #[cold]
    fn find(&self, column: &'static str, next: usize) -> Result<usize> {
        let mut names = self.names.0.borrow_mut();
        // After the last known column the engine's next one is probably the one, which saves a search.
        if next < names.len()
            && let Some(index) = names.iter().position(|name| *name == column)
        {
            return Ok(index);
        }
        let index = self.look_up(column, next)?;
        if names.len() <= index {
            names.resize(index + 1, "");
        }
        names[index] = column;
        Ok(index)
    }

    /// Asks the engine for the index of a column, which is probably `hint`.
    fn look_up(&self, column: &str, hint: usize) -> Result<usize> {
        // In a join two columns may have one name; the tests run with this check.
        if cfg!(debug_assertions) {
            let columns = (0..).map_while(|index| self.cells.name(index));
            if columns.filter(|name| *name == column).count() > 1 {
                let detail = format!("the query has several columns `{column}`; use aliases");
                return Err(Error::internal(detail));
            }
        }
        if self.cells.name(hint) == Some(column) {
            return Ok(hint);
        }
        (0..)
            .map_while(|index| self.cells.name(index))
            .position(|name| name == column)
            .ok_or_else(|| Error::internal(format!("the query has no column `{column}`")))
    }
}
