//! Writes a CSV export. No cell is written that a spreadsheet would run as a formula.

use std::io;

use csv::QuoteStyle;

use super::{formula, header::COLUMNS};
use crate::core::{
    error::{Error, Result},
    id::ProductId,
    money::Price,
};

/// One product in an export.
#[derive(Debug)]
pub struct ExportRow<'a> {
    pub id: ProductId,
    pub name: &'a str,
    pub description: &'a str,
    pub price: Price,
    pub stock: i64,
    pub category: Option<&'a str>,
    /// URLs, separated by spaces.
    pub images: String,
}

/// Writes products as CSV rows.
pub struct CsvWriter<W: io::Write>(csv::Writer<W>);

impl<W: io::Write> CsvWriter<W> {
    /// Writes a byte order mark and the header. Without the mark, Excel assumes the encoding of its locale
    /// and corrupts other characters when it saves the file.
    pub fn new(mut to: W) -> Result<CsvWriter<W>> {
        to.write_all("\u{feff}".as_bytes())
            .map_err(|error| write_error(error.into()))?;
        // `text` quotes the texts; nothing else needs quotes.
        let writer = csv::WriterBuilder::new()
            .quote_style(QuoteStyle::Never)
            .from_writer(to);
        let mut writer = CsvWriter(writer);
        writer.0.write_record(COLUMNS).map_err(write_error)?;
        Ok(writer)
    }

    pub fn write(&mut self, product: &ExportRow<'_>) -> Result<()> {
        let mut write = |cell: &str| self.0.write_field(cell).map_err(write_error);
        write(&product.id.to_string())?;
        write(&text(product.name))?;
        write(&text(product.description))?;
        write(&product.price.get().to_string())?;
        let stock = product.stock.to_string();
        write(&stock)?;
        write(&stock)?;
        write(&text(product.category.unwrap_or_default()))?;
        write(&text(&product.images))?;
        self.0.write_record(None::<&[u8]>).map_err(write_error)
    }

    /// Flushes the output.
    pub fn finish(mut self) -> Result<()> {
        self.0.flush().map_err(|error| write_error(error.into()))
    }
}

/// Returns a text as a quoted cell. Quotes are needed because a spreadsheet may split cells at another
/// character, such as `;`, and find a formula after it.
fn text(text: &str) -> String {
    format!("\"{}\"", formula::escape(text).replace('"', "\"\""))
}

/// Returns an error whose cause is an [`io::Error`].
fn write_error(error: csv::Error) -> Error {
    let cause = match error.into_kind() {
        csv::ErrorKind::Io(cause) => cause,
        kind => io::Error::other(format!("{kind:?}")),
    };
    Error::unavailable(format!("could not write the CSV file: {cause}")).caused_by(cause)
}
