//! Writes a CSV export. No cell is written that a spreadsheet would run as a formula.

use std::io;

use csv::QuoteStyle;

use super::{
    formula,
    header::{COLUMNS, VARIANT_COLUMNS},
};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
        money::Price,
    },
    domain::catalog::variant::Weight,
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
    pub sku: Option<&'a str>,
    pub barcode: Option<&'a str>,
    pub compare_at_price: Option<Price>,
    pub weight: Option<Weight>,
}

/// Writes products as CSV rows.
pub struct CsvWriter<W: io::Write> {
    writer: csv::Writer<W>,
    has_variant_columns: bool,
}

impl<W: io::Write> CsvWriter<W> {
    /// Writes a byte order mark and the header. Without the mark, Excel assumes the encoding of its locale
    /// and corrupts other characters when it saves the file.
    pub fn new(mut to: W, has_variant_columns: bool) -> Result<CsvWriter<W>> {
        to.write_all("\u{feff}".as_bytes())
            .map_err(|error| write_error(error.into()))?;
        // `text` quotes the texts; nothing else needs quotes.
        let writer = csv::WriterBuilder::new()
            .quote_style(QuoteStyle::Never)
            .from_writer(to);
        let mut writer = CsvWriter {
            writer,
            has_variant_columns,
        };
        let columns = if has_variant_columns {
            &COLUMNS[..]
        } else {
            &COLUMNS[..COLUMNS.len() - VARIANT_COLUMNS]
        };
        writer.writer.write_record(columns).map_err(write_error)?;
        Ok(writer)
    }

    pub fn write(&mut self, product: &ExportRow<'_>) -> Result<()> {
        let mut write = |cell: &str| self.writer.write_field(cell).map_err(write_error);
        write(&product.id.to_string())?;
        write(&text(product.name))?;
        write(&text(product.description))?;
        write(&product.price.get().to_string())?;
        let stock = product.stock.to_string();
        write(&stock)?;
        write(&stock)?;
        write(&text(product.category.unwrap_or_default()))?;
        write(&text(&product.images))?;
        if self.has_variant_columns {
            let number = |number: Option<i64>| number.map(|number| number.to_string());
            write(&text(product.sku.unwrap_or_default()))?;
            write(&text(product.barcode.unwrap_or_default()))?;
            let price = number(product.compare_at_price.map(Price::get));
            write(&price.unwrap_or_default())?;
            let weight = number(product.weight.map(Weight::get));
            write(&weight.unwrap_or_default())?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(write_error)
    }

    /// Flushes the output.
    pub fn finish(mut self) -> Result<()> {
        self.writer
            .flush()
            .map_err(|error| write_error(error.into()))
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
