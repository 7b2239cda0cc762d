//! A sheet on its way out. It must never write a cell that a spreadsheet would take for a formula.

use std::{borrow::Cow, io};

use super::{COLUMNS, MARK};
use crate::{
    error::{Error, Result},
    id::ProductId,
    money::Price,
};

/// What a text begins with that a spreadsheet would take for a formula, and the mark against it.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', MARK];

/// A text as a cell that no spreadsheet takes for a formula.
fn marked(text: &str) -> Cow<'_, str> {
    if text.starts_with(FORMULA) {
        Cow::Owned(format!("{MARK}{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// What a sheet says of one product.
#[derive(Debug)]
pub struct Listed<'a> {
    pub id: ProductId,
    pub name: &'a str,
    pub description: &'a str,
    pub price: Price,
    pub stock: i64,
    pub category: Option<&'a str>,
    /// URLs, separated by spaces.
    pub images: String,
}

/// A sheet on its way out.
pub struct Writer<W: io::Write>(csv::Writer<W>);

impl<W: io::Write> Writer<W> {
    /// Begins with the line that names the columns.
    pub fn new(to: W) -> Result<Writer<W>> {
        let mut writer = Writer(csv::Writer::from_writer(to));
        writer.0.write_record(COLUMNS).map_err(unwritten)?;
        Ok(writer)
    }

    pub fn write(&mut self, product: &Listed<'_>) -> Result<()> {
        let mut write = |cell: &str| self.0.write_field(cell).map_err(unwritten);
        write(&product.id.to_string())?;
        write(&marked(product.name))?;
        write(&marked(product.description))?;
        write(&product.price.get().to_string())?;
        write(&product.stock.to_string())?;
        write(&marked(product.category.unwrap_or_default()))?;
        write(&marked(&product.images))?;
        self.0.write_record(None::<&[u8]>).map_err(unwritten)
    }

    /// Sees that everything has gone out.
    pub fn finish(mut self) -> Result<()> {
        self.0.flush().map_err(|error| unwritten(error.into()))
    }
}

/// A sheet that could not be written; the cause is an [`io::Error`].
fn unwritten(error: csv::Error) -> Error {
    let cause = match error.into_kind() {
        csv::ErrorKind::Io(cause) => cause,
        kind => io::Error::other(format!("{kind:?}")),
    };
    Error::unavailable(format!("the sheet cannot be written: {cause}")).caused_by(cause)
}
