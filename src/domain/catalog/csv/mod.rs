//! The catalog as CSV (RFC 4180), compatible with spreadsheets. Works on files alone, without a database.

mod encoding;
mod formula;
mod group_rows;
mod header;
mod import_file;
mod import_row;
mod line_numbers;
mod read_file;
mod row_parser;
mod writer;

pub(super) use self::import_row::{
    CategoryCell, ImportProduct, ImportVariant, StockCell, VariantCells,
};
pub use self::{
    import_file::ImportFile,
    import_row::RowError,
    writer::{CsvWriter, ExportColumns, ExportRow},
};
