//! A parsed CSV file. All errors are collected, each with the line number that an editor shows.

use csv::ByteRecord;
use sha2::{Digest, Sha256};

use super::{
    encoding,
    header::{COLUMNS, Header, is_blank},
    import_row::{ImportRow, RowError, StockCell},
    line_numbers::{LineCounter, ends_in_quotes},
    row_parser::RowParser,
};
use crate::{core::money::Currency, domain::catalog::category::CategoryName};

/// The valid rows of a file, and the errors of the others.
#[derive(Debug, Default)]
pub struct ImportFile {
    pub(in crate::domain::catalog) rows: Vec<ImportRow>,
    pub(in crate::domain::catalog) categories: Vec<CategoryName>,
    pub(in crate::domain::catalog) may_repeat: bool,
    faults: Vec<RowError>,
}

impl ImportFile {
    /// Parses a whole file. `progress` is called with the number of bytes read so far.
    pub fn read(file: &[u8], currency: Currency, mut progress: impl FnMut(usize)) -> ImportFile {
        let mut parsed = ImportFile::default();
        let file = match encoding::text(file) {
            Ok(file) => file,
            Err(why) => {
                parsed.add_fault(1, why.to_owned());
                return parsed;
            }
        };
        let delimiter = encoding::delimiter(file);
        let mut records = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(file);
        let mut counter = LineCounter::new(file);
        let mut record = ByteRecord::new();
        let mut parser: Option<RowParser> = None;
        let mut start = 0;
        while let Ok(true) = records.read_byte_record(&mut record) {
            start = counter.advance_to(record.position().map_or(0, csv::Position::byte));
            progress(start);
            // Spreadsheets write empty rows for cells that were used once.
            if record.iter().all(is_blank) {
                continue;
            }
            let line = counter.line;
            match &mut parser {
                Some(parser) => parser.parse(&mut parsed, line, &record),
                None => match Header::parse(&record) {
                    Ok(header) => parser = Some(RowParser::new(header, currency)),
                    Err(why) => {
                        parsed.add_fault(line, why);
                        return parsed;
                    }
                },
            }
        }
        if parser.is_none() {
            let columns = COLUMNS.join(",");
            let why = format!("the file is empty; its first line names the columns: {columns}");
            parsed.add_fault(1, why);
        }
        if ends_in_quotes(file.get(start..).unwrap_or_default(), delimiter) {
            let line = counter.line;
            parsed.faults.retain(|fault| fault.line != line);
            parsed.add_fault(line, "a quote is opened and never closed".to_owned());
        }
        parsed
    }

    /// Allows the file's stock differences to be imported again.
    pub fn repeat(&mut self) {
        self.may_repeat = true;
    }

    /// Returns the errors found without the catalog, ordered by line.
    pub fn faults(&self) -> &[RowError] {
        &self.faults
    }

    /// Returns the number of valid rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the digest of the file's stock differences, or `None` if it has none. The digest ignores row
    /// order, formatting and all other columns, since only differences add up when applied twice.
    pub(in crate::domain::catalog) fn digest(&self) -> Option<[u8; 32]> {
        let difference = |row: &ImportRow| match (row.id, row.stock) {
            (Some(id), StockCell::Moved { from, to }) if from != to => Some((id, from, to)),
            _ => None,
        };
        let mut differences: Vec<_> = self.rows.iter().filter_map(difference).collect();
        differences.sort_unstable();
        let mut digest = Sha256::new();
        for (id, from, to) in &differences {
            digest.update(id.0.as_bytes());
            digest.update(from.to_be_bytes());
            digest.update(to.to_be_bytes());
        }
        (!differences.is_empty()).then(|| digest.finalize().into())
    }

    pub(super) fn add_fault(&mut self, line: u64, why: String) {
        self.faults.push(RowError { line, why });
    }
}
