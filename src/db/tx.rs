//! What an operation holds: a transaction, its one `now`, and rows whose cells know their type.

use std::{borrow::Cow, fmt::Write};

use uuid::Uuid;

use crate::{
    clock::{Chance, Timestamp},
    error::{Error, Result},
    event::{Event, StockChange},
    money::{Money, Price, Quantity, Stock},
};

/// A statement, the same for every engine unless it says otherwise. Placeholders are `?1`, `?2` …
#[derive(Debug, Clone, Copy)]
pub struct Sql<'a> {
    sqlite: &'a str,
}

impl<'a> Sql<'a> {
    pub(crate) fn sqlite(self) -> &'a str {
        self.sqlite
    }
}

impl<'a> From<&'a str> for Sql<'a> {
    fn from(text: &'a str) -> Self {
        Sql { sqlite: text }
    }
}

impl<'a> From<&'a String> for Sql<'a> {
    fn from(text: &'a String) -> Self {
        Sql { sqlite: text }
    }
}

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Id(Uuid),
    Blob(&'a [u8]),
}

/// What a cell of a row holds.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// One row of an answer, valid until the next.
pub struct Row<'a>(&'a dyn Cells);

/// An engine's row.
pub(crate) trait Cells {
    fn cell(&self, index: usize) -> Result<Cell<'_>>;
}

impl<'a> Row<'a> {
    pub(crate) fn new(cells: &'a dyn Cells) -> Self {
        Row(cells)
    }

    /// The column at `index`, from 0; another type than the one asked for is a defect.
    pub fn get<T: Column<'a>>(&self, index: usize) -> Result<T> {
        let cell = self.0.cell(index)?;
        T::from_cell(cell).ok_or_else(|| {
            Error::internal(format!("column {index} holds {cell:?}, not the type read"))
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

impl<'a> Column<'a> for Vec<u8> {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        if let Cell::Blob(value) = cell {
            Some(value.to_vec())
        } else {
            None
        }
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

macro_rules! whole_columns {
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

whole_columns!(Money, Price, Quantity, Stock);

macro_rules! id_columns {
    ($($name:ident),+ $(,)?) => {$(
        impl<'a> Column<'a> for crate::id::$name {
            fn from_cell(cell: Cell<'a>) -> Option<Self> {
                Uuid::from_cell(cell).map(crate::id::$name)
            }
        }

        impl From<crate::id::$name> for Value<'_> {
            fn from(id: crate::id::$name) -> Self {
                Value::Id(id.0)
            }
        }
    )+};
}

id_columns!(
    UserId, SessionId, CategoryId, ProductId, ImageId, OrderId, PaymentId
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

/// The values of a statement, in the order of its placeholders.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::db::Value::from($value)),*] };
}

/// An engine's connection, inside a transaction.
pub(crate) trait Connection {
    /// Runs a statement and tells how many rows it changed.
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64>;

    /// Runs a statement and hands each row over, as long as `each` says `true`.
    fn query(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()>;
}

/// A transaction. It ends with the closure that was given it: committed on `Ok`, undone on `Err`.
pub struct Tx<'a> {
    connection: &'a mut dyn Connection,
    now: Timestamp,
    chance: &'a Chance,
    emitted: bool,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        connection: &'a mut dyn Connection,
        now: Timestamp,
        chance: &'a Chance,
    ) -> Self {
        Tx {
            connection,
            now,
            chance,
            emitted: false,
        }
    }

    /// The one moment of this transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn chance(&self) -> &'a Chance {
        self.chance
    }

    /// A new id, later than all before it by the clock.
    pub fn id<T: From<Uuid>>(&self) -> T {
        self.chance.uuid(self.now).into()
    }

    /// Runs a statement and tells how many rows it changed.
    pub fn execute<'s>(&mut self, sql: impl Into<Sql<'s>>, args: &[Value<'_>]) -> Result<u64> {
        self.connection.execute(sql.into(), args)
    }

    /// The first row, or none.
    pub fn one<'s, T>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        self.connection.query(sql.into(), args, &mut |row| {
            found = Some(read(row)?);
            Ok(false)
        })?;
        Ok(found)
    }

    /// All rows, in the statement's order.
    pub fn all<'s, T>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        self.each(sql, args, |row| {
            rows.push(read(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Hands each row over, in the statement's order.
    pub fn each<'s>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.connection
            .query(sql.into(), args, &mut |row| each(row).map(|()| true))
    }

    /// Writes the event's row in this transaction; listeners hear it after the commit, never
    /// before, in the order of commits. Call it after the rows it tells of are written.
    pub fn emit(&mut self, event: &Event) -> Result<()> {
        let Event::Inventory(changes) = event;
        let body = serde_json::to_string(changes).map_err(Error::internal)?;
        // The last row always stays, so that the next number never falls back.
        self.execute(
            "INSERT INTO events (seq, at, changes)
             VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM events), ?1, ?2)",
            args![self.now, &body],
        )?;
        self.emitted = true;
        Ok(())
    }

    /// As [`Tx::emit`], for any number of products.
    pub fn emit_stock(&mut self, changes: &[StockChange]) -> Result<()> {
        for part in changes.chunks(Event::MOST_PRODUCTS) {
            self.emit(&Event::Inventory(part.to_vec()))?;
        }
        Ok(())
    }

    pub(crate) fn has_emitted(&self) -> bool {
        self.emitted
    }
}

/// The value that is set once and for ever under `name`: the kept one, or else `first`.
pub fn setting(tx: &mut Tx<'_>, name: &str, first: &str) -> Result<String> {
    tx.execute(
        "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        args![name, first],
    )?;
    tx.one(
        "SELECT value FROM settings WHERE name = ?1",
        args![name],
        |row| row.get(0),
    )?
    .ok_or_else(|| Error::internal("a setting was not kept"))
}

/// The placeholders of `rows` rows of `columns` values each: `(?1,?2),(?3,?4)`.
pub fn rows_of(columns: usize, rows: usize) -> String {
    let mut text = String::with_capacity(columns * rows * 5);
    for place in 1..=columns * rows {
        let begins_row = (place - 1) % columns == 0;
        text.push_str(match (begins_row, place) {
            (_, 1) => "(?",
            (true, _) => "),(?",
            (false, _) => ",?",
        });
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{place}");
    }
    text.push(')');
    text
}
