//! Conversion between Rust types and SQL: statement parameters ([`Value`]), result cells ([`Cell`]), and the
//! types that a column can be read as ([`Column`]).

use std::borrow::Cow;

use uuid::Uuid;

use crate::core::{
    clock::Timestamp,
    error::{Error, Result},
    money::{Amount, Money, Price, Quantity, Stock},
};

/// A statement parameter.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Id(Uuid),
    Blob(&'a [u8]),
}

/// The value of one column of a result row.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

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

/// A type that a column can be read as.
pub trait Column<'a>: Sized {
    fn from_cell(cell: Cell<'a>) -> Option<Self>;
}

impl<'a> Column<'a> for i64 {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        if let Cell::Int(value) = cell {
            Some(value)
        } else {
            None
        }
    }
}

impl<'a> Column<'a> for &'a str {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        if let Cell::Text(value) = cell {
            Some(value)
        } else {
            None
        }
    }
}

impl<'a> Column<'a> for String {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        <&str>::from_cell(cell).map(str::to_owned)
    }
}

impl<'a> Column<'a> for &'a [u8] {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        if let Cell::Blob(value) = cell {
            Some(value)
        } else {
            None
        }
    }
}

impl<'a> Column<'a> for Vec<u8> {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        <&[u8]>::from_cell(cell).map(<[u8]>::to_vec)
    }
}

impl<'a> Column<'a> for bool {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        i64::from_cell(cell).map(|value| value != 0)
    }
}

impl<'a> Column<'a> for Timestamp {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        i64::from_cell(cell).map(Timestamp)
    }
}

impl<'a> Column<'a> for Uuid {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        if let Cell::Blob(value) = cell {
            Uuid::from_slice(value).ok()
        } else {
            None
        }
    }
}

impl<'a, T: Column<'a>> Column<'a> for Option<T> {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        if let Cell::Null = cell {
            Some(None)
        } else {
            T::from_cell(cell).map(Some)
        }
    }
}

macro_rules! integer_columns {
    ($($name:ident),+) => {$(
        impl<'a> Column<'a> for $name {
            fn from_cell(cell: Cell<'a>) -> Option<Self> {
                i64::from_cell(cell).and_then(|value| $name::try_from(value).ok())
            }
        }

        impl From<$name> for Value<'_> {
            fn from(value: $name) -> Self {
                Value::Int(value.get())
            }
        }
    )+};
}

integer_columns!(Money, Amount, Price, Quantity, Stock);

macro_rules! id_columns {
    ($($name:ident),+ $(,)?) => {$(
        impl<'a> Column<'a> for crate::core::id::$name {
            fn from_cell(cell: Cell<'a>) -> Option<Self> {
                Uuid::from_cell(cell).map(crate::core::id::$name)
            }
        }

        impl From<crate::core::id::$name> for Value<'_> {
            fn from(id: crate::core::id::$name) -> Self {
                Value::Id(id.0)
            }
        }
    )+};
}

id_columns!(
    UserId, SessionId, CategoryId, ProductId, ImageId, OrderId, PaymentId, RefundId, MailId
);

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Int(i64::from(value))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Value::Int(value.0)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a Cow<'_, str>> for Value<'a> {
    fn from(value: &'a Cow<'_, str>) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Value::Blob(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// Builds the parameters of a statement, in the order of its placeholders.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::infra::db::Value::from($value)),*] };
}

#[doc(hidden)]
pub use params;
