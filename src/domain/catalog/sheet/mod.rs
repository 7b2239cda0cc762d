//! The catalog as a sheet of comma-separated values (RFC 4180), as spreadsheets write and read it.
//!
//! It works on the file alone, without a database. Every line that cannot be right is named at once, by the
//! number that an editor shows.

mod encoding;
mod formula;
mod head;
mod line;
mod position;
mod writer;

use std::fmt;

use csv::ByteRecord;
use sha2::{Digest, Sha256};

pub use self::writer::{Listed, Writer};
use self::{
    head::{COLUMNS, Head},
    line::Reading,
    position::{Lines, ends_in_quotes},
};
use super::{CategoryName, Description, ProductName};
use crate::core::{
    id::ProductId,
    money::{Currency, Price},
};

/// Why a line cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// From 1, as an editor counts.
    pub line: u64,
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// A line that can be right. `None` leaves a known product as it is.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: u64,
    pub(super) id: Option<ProductId>,
    pub(super) name: Option<Name>,
    pub(super) description: Option<Description>,
    pub(super) price: Option<Price>,
    pub(super) stock: StockCell,
    pub(super) category: CategoryCell,
    pub(super) names_images: bool,
}

/// A name with its keys, which are derived here, before any transaction waits for them.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: ProductName,
    pub(super) key: String,
    pub(super) slug: String,
}

/// What a line says about stock. A new product takes `to`; numbers are at least 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StockCell {
    /// No `stockQuantity`: the stock stays.
    Empty,
    /// The sheet has no `stockAtExport`: the stock is set.
    Set { to: i64 },
    /// The stock changes by the difference, so that what was sold since the export stays sold.
    Moved { from: i64, to: i64 },
    /// This line alone has no `stockAtExport`: the stock stays.
    Unknown { to: i64 },
}

impl StockCell {
    /// Returns the stock of a new product.
    pub(super) fn initial(self) -> i64 {
        match self {
            StockCell::Empty => 0,
            StockCell::Set { to } | StockCell::Moved { to, .. } | StockCell::Unknown { to } => to,
        }
    }
}

/// What a line says about its category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CategoryCell {
    /// The sheet has no such column: the category stays.
    Absent,
    /// The product is in no category.
    Empty,
    /// The index among the sheet's categories.
    Named(usize),
}

/// What a file says: the lines that can be right, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct Sheet {
    pub(super) entries: Vec<Entry>,
    pub(super) categories: Vec<CategoryName>,
    pub(super) may_repeat: bool,
    faults: Vec<Fault>,
}

impl Sheet {
    /// Reads a whole file; `seen` is called with the number of bytes read so far.
    pub fn read(file: &[u8], currency: Currency, mut seen: impl FnMut(usize)) -> Sheet {
        let mut sheet = Sheet::default();
        let file = match encoding::text(file) {
            Ok(file) => file,
            Err(why) => {
                sheet.fault(1, why.to_owned());
                return sheet;
            }
        };
        let delimiter = encoding::delimiter(file);
        let mut records = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(file);
        let mut lines = Lines::new(file);
        let mut record = ByteRecord::new();
        let mut reading: Option<Reading> = None;
        let mut start = 0;
        while let Ok(true) = records.read_byte_record(&mut record) {
            start = lines.begin_at(record.position().map_or(0, csv::Position::byte));
            seen(start);
            // Spreadsheets write the empty rows of the area that was once in use.
            if record.iter().all(is_blank) {
                continue;
            }
            let line = lines.line;
            match &mut reading {
                Some(reading) => reading.line(&mut sheet, line, &record),
                None => match Head::read(&record) {
                    Ok(head) => reading = Some(Reading::new(head, currency)),
                    Err(why) => {
                        sheet.fault(line, why);
                        return sheet;
                    }
                },
            }
        }
        if reading.is_none() {
            let columns = COLUMNS.join(",");
            let why = format!("the file is empty; its first line names the columns: {columns}");
            sheet.fault(1, why);
        }
        if ends_in_quotes(file.get(start..).unwrap_or_default(), delimiter) {
            let line = lines.line;
            sheet.faults.retain(|fault| fault.line != line);
            sheet.fault(line, "a quote is opened and never closed".to_owned());
        }
        sheet
    }

    /// Lets the sheet's differences of stock be applied although they were before.
    pub fn repeat(&mut self) {
        self.may_repeat = true;
    }

    /// Returns what is wrong with the file by itself, in the order of its lines.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Returns how many lines hold a product.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the digest of the sheet's differences of stock, or `None` if it has none. It is the same
    /// however the file is written and whatever else it changes, since only differences add up when they
    /// are applied twice.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        let difference = |entry: &Entry| match (entry.id, entry.stock) {
            (Some(id), StockCell::Moved { from, to }) if from != to => Some((id, from, to)),
            _ => None,
        };
        let mut differences: Vec<_> = self.entries.iter().filter_map(difference).collect();
        differences.sort_unstable();
        let mut digest = Sha256::new();
        for (id, from, to) in &differences {
            digest.update(id.0.as_bytes());
            digest.update(from.to_be_bytes());
            digest.update(to.to_be_bytes());
        }
        (!differences.is_empty()).then(|| digest.finalize().into())
    }

    fn fault(&mut self, line: u64, why: String) {
        self.faults.push(Fault { line, why });
    }
}

fn is_blank(cell: &[u8]) -> bool {
    cell.trim_ascii().is_empty()
}
