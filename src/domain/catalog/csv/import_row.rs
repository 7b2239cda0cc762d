//! The products and variants of an import, and the errors that replace invalid rows.

use std::fmt;

use crate::{
    core::{
        id::{ProductId, VariantId},
        money::Price,
    },
    domain::catalog::{
        options::{OptionName, OptionText},
        product::{Description, ProductName},
        variant::{VariantCode, Weight},
    },
};

/// Why a row cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowError {
    /// From 1, as editors count.
    pub line: u64,
    pub why: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// A product whose rows are syntactically valid. A field that is `None` leaves an existing product unchanged.
#[derive(Debug)]
pub(in crate::domain::catalog) struct ImportProduct {
    /// The line of its first row.
    pub(in crate::domain::catalog) line: u64,
    pub(in crate::domain::catalog) id: Option<ProductId>,
    pub(in crate::domain::catalog) name: Option<NameCell>,
    pub(in crate::domain::catalog) description: Option<Description>,
    pub(in crate::domain::catalog) category: CategoryCell,
    pub(in crate::domain::catalog) has_images: bool,
    /// At least one, in the order of their rows.
    pub(in crate::domain::catalog) variants: Vec<ImportVariant>,
}

impl ImportProduct {
    /// Returns the variant of its first row: the only one of a product without options.
    pub(in crate::domain::catalog) fn first(&self) -> &ImportVariant {
        &self.variants[0]
    }

    pub(in crate::domain::catalog) fn has_options(&self) -> bool {
        self.variants
            .iter()
            .any(|variant| !variant.options.is_empty())
    }
}

/// A variant: the columns of a row that other rows of the product do not share. A field that is `None` leaves an existing
/// variant unchanged.
#[derive(Debug)]
pub(in crate::domain::catalog) struct ImportVariant {
    pub(in crate::domain::catalog) line: u64,
    pub(in crate::domain::catalog) id: Option<VariantId>,
    pub(in crate::domain::catalog) options: Vec<CellOption>,
    pub(in crate::domain::catalog) price: Option<Price>,
    pub(in crate::domain::catalog) stock: StockCell,
    pub(in crate::domain::catalog) cells: VariantCells,
}

impl ImportVariant {
    /// Returns whether the row says which variant of its product it is.
    pub(in crate::domain::catalog) fn is_named(&self) -> bool {
        self.id.is_some() || !self.options.is_empty()
    }

    pub(in crate::domain::catalog) fn row_error(&self, why: String) -> RowError {
        let line = self.line;
        RowError { line, why }
    }
}

/// An option of a row with its value, and both without case.
#[derive(Debug)]
pub(in crate::domain::catalog) struct CellOption {
    pub(in crate::domain::catalog) name: OptionName,
    pub(in crate::domain::catalog) value: OptionText,
    pub(in crate::domain::catalog) name_key: String,
    pub(in crate::domain::catalog) value_key: String,
}

/// The columns of a variant that it may lack.
#[derive(Debug)]
pub(in crate::domain::catalog) struct VariantCells {
    pub(in crate::domain::catalog) sku: OptionalCell<VariantCode>,
    pub(in crate::domain::catalog) barcode: OptionalCell<VariantCode>,
    pub(in crate::domain::catalog) compare_at_price: OptionalCell<Price>,
    pub(in crate::domain::catalog) weight: OptionalCell<Weight>,
}

/// A value that a variant may lack.
#[derive(Debug)]
pub(in crate::domain::catalog) enum OptionalCell<T> {
    /// The file has no such column: the value is unchanged.
    Absent,
    /// The variant has no value.
    Empty,
    Value(T),
}

impl<T> OptionalCell<T> {
    pub(in crate::domain::catalog) fn is_absent(&self) -> bool {
        matches!(self, OptionalCell::Absent)
    }

    /// Returns the value after the import; `current` is that before.
    pub(in crate::domain::catalog) fn applied_to<'a, U>(
        &'a self,
        current: Option<U>,
        read: impl FnOnce(&'a T) -> U,
    ) -> Option<U> {
        match self {
            OptionalCell::Absent => current,
            OptionalCell::Empty => None,
            OptionalCell::Value(value) => Some(read(value)),
        }
    }
}

impl VariantCells {
    /// Returns whether the file has any of these columns.
    pub(in crate::domain::catalog) fn has_any(&self) -> bool {
        !(self.sku.is_absent()
            && self.barcode.is_absent()
            && self.compare_at_price.is_absent()
            && self.weight.is_absent())
    }
}

/// A name with its keys, computed before any transaction waits for them.
#[derive(Debug)]
pub(in crate::domain::catalog) struct NameCell {
    pub(in crate::domain::catalog) text: ProductName,
    pub(in crate::domain::catalog) key: String,
    pub(in crate::domain::catalog) slug: String,
}

/// The stock columns of a row. A new variant starts with `to`; all numbers are at least 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain::catalog) enum StockCell {
    /// No `stockQuantity`: the stock is unchanged.
    Empty,
    /// The file has no `stockAtExport` column: the stock is overwritten.
    Set { to: i64 },
    /// The stock changes by the difference, so that orders placed since the export still count.
    Moved { from: i64, to: i64 },
    /// Only this row has no `stockAtExport`: the stock is unchanged.
    NotExported { to: i64 },
}

impl StockCell {
    /// Returns the stock of a new variant.
    pub(in crate::domain::catalog) fn initial(self) -> i64 {
        match self {
            StockCell::Empty => 0,
            StockCell::Set { to } | StockCell::Moved { to, .. } | StockCell::NotExported { to } => {
                to
            }
        }
    }
}

/// The category column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain::catalog) enum CategoryCell {
    /// The file has no such column: the category is unchanged.
    Absent,
    /// The product is in no category.
    Empty,
    /// An index into the file's categories.
    Named(usize),
}
