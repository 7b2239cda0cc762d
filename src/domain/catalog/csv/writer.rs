//! Writes a CSV export. No cell is written that a spreadsheet would run as a formula.

use std::io;

use csv::QuoteStyle;

use super::{
    formula,
    header::{COLUMNS, is_without_options},
};
use crate::{
    core::{
        error::{Error, Result},
        id::{ProductId, VariantId},
        money::Price,
    },
    domain::catalog::{options::VariantOptions, variant::Weight},
};

/// One variant in an export. The rows of a product follow each other, and have the columns of the product alike.
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
    pub variant: VariantId,
    pub sku: Option<&'a str>,
    pub barcode: Option<&'a str>,
    pub options: VariantOptions,
    pub compare_at_price: Option<Price>,
    pub weight: Option<Weight>,
}

/// Which columns an export has beside those of every product.
#[derive(Debug, Clone, Copy)]
pub struct ExportColumns {
    /// `sku`, `barcode`, `compareAtPrice` and `weightGrams`: if any variant has one of them.
    pub has_codes: bool,
    /// All columns: if any product has options.
    pub has_options: bool,
}

impl ExportColumns {
    fn has(self, column: usize) -> bool {
        self.has_options || is_without_options(column, self.has_codes)
    }
}

/// Writes variants as CSV rows.
pub struct CsvWriter<W: io::Write> {
    writer: csv::Writer<W>,
    columns: ExportColumns,
}

impl<W: io::Write> CsvWriter<W> {
    /// Writes a byte order mark and the header. Without the mark, Excel assumes the encoding of its locale
    /// and corrupts other characters when it saves the file.
    pub fn new(mut to: W, columns: ExportColumns) -> Result<CsvWriter<W>> {
        to.write_all("\u{feff}".as_bytes())
            .map_err(|error| write_error(error.into()))?;
        // `text` quotes the texts; nothing else needs quotes.
        let writer = csv::WriterBuilder::new()
            .quote_style(QuoteStyle::Never)
            .from_writer(to);
        let mut writer = CsvWriter { writer, columns };
        writer.write_cells(COLUMNS.map(str::to_owned))?;
        Ok(writer)
    }

    pub fn write(&mut self, row: &ExportRow<'_>) -> Result<()> {
        let number = |number: Option<i64>| number.map_or_else(String::new, |it| it.to_string());
        let stock = row.stock.to_string();
        let mut selected = row.options.as_slice().iter();
        let mut next = || match selected.next() {
            Some(option) => [text(&option.name), text(&option.value)],
            None => [text(""), text("")],
        };
        let [option1, value1] = next();
        let [option2, value2] = next();
        let [option3, value3] = next();
        self.write_cells([
            row.id.to_string(),
            text(row.name),
            text(row.description),
            row.price.get().to_string(),
            stock.clone(),
            stock,
            text(row.category.unwrap_or_default()),
            text(&row.images),
            row.variant.to_string(),
            text(row.sku.unwrap_or_default()),
            text(row.barcode.unwrap_or_default()),
            option1,
            value1,
            option2,
            value2,
            option3,
            value3,
            number(row.compare_at_price.map(Price::get)),
            number(row.weight.map(Weight::get)),
        ])
    }

    /// Writes the cells of the columns that this export has.
    fn write_cells(&mut self, cells: [String; COLUMNS.len()]) -> Result<()> {
        let columns = self.columns;
        let written = (0..).zip(cells).filter(|(column, _)| columns.has(*column));
        let written = written.map(|(_, cell)| cell);
        self.writer
            .write_record(written.collect::<Vec<_>>())
            .map_err(write_error)
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
