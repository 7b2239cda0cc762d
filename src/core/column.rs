//! Conversion between Rust types and database columns: statement parameters ([`Value`]), result cells
//! ([`Cell`]), and the types that a column can be read as ([`Column`]).
//!
//! Each type defines its own conversion. This module has those of the standard types.

use std::borrow::Cow;

use uuid::Uuid;

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

/// A type that a column can be read as.
pub trait Column<'a>: Sized {
    /// Returns `None` if the cell is of another type or has a value that this one does not allow.
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

/// Stores enums as text. The enums derive `strum::EnumString` and `strum::IntoStaticStr`.
macro_rules! text_columns {
    ($($name:ident),+ $(,)?) => {$(
        impl $name {
            /// Returns the stored text.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }

        impl<'a> $crate::core::column::Column<'a> for $name {
            fn from_cell(cell: $crate::core::column::Cell<'a>) -> Option<Self> {
                <&str as $crate::core::column::Column>::from_cell(cell)?.parse().ok()
            }
        }

        impl From<$name> for $crate::core::column::Value<'_> {
            fn from(value: $name) -> Self {
                $crate::core::column::Value::Text(value.as_str())
            }
        }
    )+};
}

pub(crate) use text_columns;

/// Builds the parameters of a statement, in the order of its placeholders.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::core::column::Value::from($value)),*] };
}

#[doc(hidden)]
pub use params;
