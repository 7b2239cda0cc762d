//! Parses a whole CSV file. All errors are collected, each with the line number that an editor shows.

use csv::ByteRecord;
use sha2::{Digest, Sha256};

use super::{
    encoding,
    header::{COLUMNS, Header, is_blank},
    import_file::ImportFile,
    line_numbers::{LineCounter, ends_in_quotes},
    row_parser::RowParser,
};
use crate::core::money::Currency;

impl ImportFile {
    /// Parses a whole file. `progress` is called with the number of bytes read so far.
    pub fn read(file: &[u8], currency: Currency, mut progress: impl FnMut(usize)) -> ImportFile {
        let mut parsed = ImportFile {
            sha256: Sha256::digest(file).into(),
            ..ImportFile::default()
        };
        let file = match encoding::text(file) {
            Ok(file) => file,
            Err(why) => {
                parsed.add_row_error(1, why.to_owned());
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
                        parsed.add_row_error(line, why);
                        return parsed;
                    }
                },
            }
        }
        if parser.is_none() {
            let columns = COLUMNS.join(",");
            let why = format!("the file is empty; its first line names the columns: {columns}");
            parsed.add_row_error(1, why);
        }
        if ends_in_quotes(file.get(start..).unwrap_or_default(), delimiter) {
            let line = counter.line;
            parsed.row_errors.retain(|row_error| row_error.line != line);
            parsed.add_row_error(line, "a quote is opened and never closed".to_owned());
        }
        parsed
    }
}
