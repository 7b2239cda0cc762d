//! A sheet on its way out. It must never write a cell that a spreadsheet would take for a formula.

use std::io;

use csv::QuoteStyle;

use super::{formula, head::COLUMNS};
use crate::core::{
    error::{Error, Result},
    id::ProductId,
    money::Price,
};

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
    /// Begins with a byte order mark, without which Excel takes a file for one in the encoding of its
    /// country and writes other letters back, and the line that names the columns.
    pub fn new(mut to: W) -> Result<Writer<W>> {
        to.write_all("\u{feff}".as_bytes())
            .map_err(|error| unwritten(error.into()))?;
        // Only texts are quoted, by `text`.
        let writer = csv::WriterBuilder::new()
            .quote_style(QuoteStyle::Never)
            .from_writer(to);
        let mut writer = Writer(writer);
        writer.0.write_record(COLUMNS).map_err(unwritten)?;
        Ok(writer)
    }

    pub fn write(&mut self, product: &Listed<'_>) -> Result<()> {
        let mut write = |cell: &str| self.0.write_field(cell).map_err(unwritten);
        write(&product.id.to_string())?;
        write(&text(product.name))?;
        write(&text(product.description))?;
        write(&product.price.get().to_string())?;
        let stock = product.stock.to_string();
        write(&stock)?;
        write(&stock)?;
        write(&text(product.category.unwrap_or_default()))?;
        write(&text(&product.images))?;
        self.0.write_record(None::<&[u8]>).map_err(unwritten)
    }

    /// Sees that everything has gone out.
    pub fn finish(mut self) -> Result<()> {
        self.0.flush().map_err(|error| unwritten(error.into()))
    }
}

/// A text as a cell. It is quoted, since a spreadsheet may separate cells by another character, such as
/// `;`, and would find a formula behind it.
fn text(text: &str) -> String {
    format!("\"{}\"", formula::mark(text).replace('"', "\"\""))
}

/// A sheet that could not be written; the cause is an [`io::Error`].
fn unwritten(error: csv::Error) -> Error {
    let cause = match error.into_kind() {
        csv::ErrorKind::Io(cause) => cause,
        kind => io::Error::other(format!("{kind:?}")),
    };
    Error::unavailable(format!("the sheet cannot be written: {cause}")).caused_by(cause)
}
