//! The catalog as a sheet of comma-separated values (RFC 4180), as spreadsheets write and read it.
//!
//! It knows the sheet alone and no database: every line that cannot be right is named at once, counted
//! as an editor counts.

mod formula;
mod writer;

use std::{collections::HashMap, fmt};

use csv::ByteRecord;

use self::formula::unmark;
pub use self::writer::{Listed, Writer};
use super::{
    CategoryName, Description, ProductName,
    fold::{fold, slug},
};
use crate::{
    id::ProductId,
    money::{Price, Stock},
};

/// What a sheet's columns are called; its first line tells in which order they stand.
const COLUMNS: [&str; 7] = [
    "id",
    "name",
    "description",
    "price",
    "stockQuantity",
    "category",
    "images",
];

/// Why a line cannot be taken over.
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

/// A line that can be right. What is kept folded is folded here, before any transaction waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: u64,
    pub(super) id: Option<ProductId>,
    pub(super) name: ProductName,
    pub(super) name_key: String,
    pub(super) slug: String,
    pub(super) description: Description,
    pub(super) price: Price,
    pub(super) stock: Stock,
    /// Its place among the sheet's categories.
    pub(super) category: Option<usize>,
    pub(super) names_images: bool,
}

/// What a file says: lines that can be right, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct Sheet {
    pub(super) entries: Vec<Entry>,
    pub(super) categories: Vec<CategoryName>,
    faults: Vec<Fault>,
}

impl Sheet {
    /// Reads a whole file; `seen` is told how many bytes of it are behind.
    pub fn read(file: &[u8], mut seen: impl FnMut(usize)) -> Sheet {
        let mut sheet = Sheet::default();
        if file.starts_with(b"\xff\xfe") || file.starts_with(b"\xfe\xff") {
            let why = "the file is UTF-16; save it as CSV in UTF-8".to_owned();
            sheet.faults.push(Fault { line: 1, why });
            return sheet;
        }
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        let mut records = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(file);
        let mut lines = Lines::new(file);
        let mut record = ByteRecord::new();
        let mut reading: Option<Reading> = None;
        let mut start = 0;
        while let Ok(true) = records.read_byte_record(&mut record) {
            start = lines.begin_at(record.position().map_or(0, csv::Position::byte));
            let line = lines.line;
            match &mut reading {
                Some(reading) => reading.line(&mut sheet, line, &record),
                None => match head(&record) {
                    Ok(places) => reading = Some(Reading::of(places)),
                    Err(why) => {
                        sheet.faults.push(Fault { line, why });
                        return sheet;
                    }
                },
            }
            seen(start);
        }
        if reading.is_none() {
            let why = format!(
                "the file is empty; its first line names the columns: {}",
                COLUMNS.join(",")
            );
            sheet.faults.push(Fault { line: 1, why });
        }
        if ends_in_quotes(file.get(start..).unwrap_or_default()) {
            let why = "a quote is opened and never closed".to_owned();
            sheet.faults.retain(|fault| fault.line != lines.line);
            sheet.faults.push(Fault {
                line: lines.line,
                why,
            });
        }
        sheet
    }

    /// What is wrong with the file by itself, in the order of its lines.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many lines hold a product.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The place of each of [`COLUMNS`] in the lines of a sheet.
type Places = [usize; COLUMNS.len()];

/// Reads the first line; whatever is wrong with it is told at once.
fn head(record: &ByteRecord) -> Result<Places, String> {
    let names: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
    let names: Vec<_> = names.iter().map(|name| name.trim()).collect();
    let mut places = [0; COLUMNS.len()];
    let mut wrong = Vec::new();
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let mut found = (0..names.len()).filter(|at| names[*at] == column);
        match (found.next(), found.next()) {
            (Some(at), None) => *place = at,
            (None, _) => wrong.push(format!("the column `{column}` is missing")),
            (Some(_), Some(_)) => wrong.push(format!("the column `{column}` stands there twice")),
        }
    }
    for name in names.iter().filter(|name| !COLUMNS.contains(name)) {
        wrong.push(format!("the column `{}` is unknown", name.escape_debug()));
    }
    if wrong.is_empty() {
        return Ok(places);
    }
    let columns = COLUMNS.join(",");
    Err(format!(
        "{}; the first line names the columns, separated by commas: {columns}",
        wrong.join("; ")
    ))
}

/// What has to be remembered from line to line.
struct Reading {
    places: Places,
    width: usize,
    /// Where each id stood first.
    ids: HashMap<ProductId, u64>,
    /// Every spelling of a category that was met, and its place among them.
    spellings: HashMap<String, usize>,
    keys: HashMap<String, usize>,
}

impl Reading {
    fn of(places: Places) -> Reading {
        Reading {
            places,
            width: places.len(),
            ids: HashMap::new(),
            spellings: HashMap::new(),
            keys: HashMap::new(),
        }
    }

    /// Reads one line into an entry, or into a fault that names everything wrong with it.
    fn line(&mut self, sheet: &mut Sheet, line: u64, record: &ByteRecord) {
        let mut wrong = Wrong(Vec::new());
        if record.len() == self.width {
            // What is wrong is noted already.
            let entry = self.entry(sheet, line, record, &mut wrong);
            sheet.entries.extend(entry);
        } else {
            let (cells, width) = (record.len(), self.width);
            wrong
                .0
                .push(format!("holds {cells} cells; the first line has {width}"));
        }
        if !wrong.0.is_empty() {
            let why = wrong.0.join("; ");
            sheet.faults.push(Fault { line, why });
        }
    }

    fn entry(
        &mut self,
        sheet: &mut Sheet,
        line: u64,
        record: &ByteRecord,
        wrong: &mut Wrong,
    ) -> Result<Entry, Noted> {
        let [id, name, description, price, stock, category, images] =
            std::array::from_fn(|at| wrong.utf8(COLUMNS[at], &record[self.places[at]]));
        let id = id.and_then(|text| self.id(line, text.trim(), wrong));
        let name = name.and_then(|text| wrong.text::<ProductName>("name", text));
        let description =
            description.and_then(|text| wrong.text::<Description>("description", text));
        let price = price.and_then(|text| wrong.number::<Price>("price", text));
        let stock = stock.and_then(|text| wrong.number::<Stock>("stockQuantity", text));
        let category = category.and_then(|text| self.category(sheet, text, wrong));
        let images = images.and_then(|text| wrong.images(unmark(text)));
        let name = name?;
        Ok(Entry {
            line,
            id: id?,
            name_key: fold(name.as_str()),
            slug: slug(name.as_str()),
            name,
            description: description?,
            price: price?,
            stock: stock?,
            category: category?,
            names_images: images?,
        })
    }

    fn id(&mut self, line: u64, text: &str, wrong: &mut Wrong) -> Result<Option<ProductId>, Noted> {
        if text.is_empty() {
            return Ok(None);
        }
        let Ok(id) = text.parse::<ProductId>() else {
            return wrong.say("id", "must be a product's id, or empty for a new product");
        };
        let first = *self.ids.entry(id).or_insert(line);
        if first != line {
            return wrong.say("id", &format!("stands in line {first} already"));
        }
        Ok(Some(id))
    }

    fn category(
        &mut self,
        sheet: &mut Sheet,
        text: &str,
        wrong: &mut Wrong,
    ) -> Result<Option<usize>, Noted> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        if let Some(known) = self.spellings.get(text) {
            return Ok(Some(*known));
        }
        let name = wrong.text::<CategoryName>("category", text)?;
        let place = *self.keys.entry(fold(name.as_str())).or_insert_with(|| {
            sheet.categories.push(name);
            sheet.categories.len() - 1
        });
        self.spellings.insert(text.to_owned(), place);
        Ok(Some(place))
    }
}

/// What is wrong with one line, collected cell by cell.
struct Wrong(Vec<String>);

/// What is wrong with a cell stands in [`Wrong`].
struct Noted;

impl Wrong {
    fn say<T>(&mut self, column: &str, why: &str) -> Result<T, Noted> {
        self.0.push(format!("`{column}` {why}"));
        Err(Noted)
    }

    fn utf8<'a>(&mut self, column: &str, cell: &'a [u8]) -> Result<&'a str, Noted> {
        match std::str::from_utf8(cell) {
            Ok(text) => Ok(text),
            Err(_) => self.say(column, "is not UTF-8; save the file as CSV in UTF-8"),
        }
    }

    fn text<T>(&mut self, column: &str, cell: &str) -> Result<T, Noted>
    where
        T: TryFrom<String, Error = String>,
    {
        T::try_from(unmark(cell).to_owned()).or_else(|why| self.say(column, &why))
    }

    fn number<T: TryFrom<i64> + Bounded>(&mut self, column: &str, cell: &str) -> Result<T, Noted> {
        let number = cell.trim().parse().ok();
        match number.and_then(|number: i64| T::try_from(number).ok()) {
            Some(value) => Ok(value),
            None => self.say(column, T::BOUNDS),
        }
    }

    /// Tells whether there are any.
    fn images(&mut self, text: &str) -> Result<bool, Noted> {
        let is_url = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if text.split_whitespace().all(is_url) {
            Ok(!text.trim().is_empty())
        } else {
            self.say("images", "must hold URLs, separated by spaces, or nothing")
        }
    }
}

/// A number of a sheet, and how to say what it may be.
trait Bounded {
    const BOUNDS: &'static str;
}

impl Bounded for Price {
    const BOUNDS: &'static str =
        "must be a whole number from 1 to 100000000000, in the currency's minor unit";
}

impl Bounded for Stock {
    const BOUNDS: &'static str = "must be a whole number from 0 to 1000000000";
}

/// Counts lines up to a place that only moves on.
struct Lines<'a> {
    file: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn new(file: &'a [u8]) -> Self {
        let (at, line) = (0, 1);
        Lines { file, at, line }
    }

    /// Moves on to the first letter of the record that is found from `position` on, behind what is
    /// left of the last line's end and behind empty lines. Tells where that is.
    fn begin_at(&mut self, position: u64) -> usize {
        let mut start = usize::try_from(position).unwrap_or(self.file.len());
        while matches!(self.file.get(start), Some(b'\r' | b'\n')) {
            start += 1;
        }
        while self.at < start {
            // `\r\n` is one end, and counts where it ends.
            let ends = match self.file[self.at] {
                b'\n' => true,
                b'\r' => self.file.get(self.at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends);
            self.at += 1;
        }
        start
    }
}

/// Whether the text of a last record ends inside a quoted cell.
fn ends_in_quotes(record: &[u8]) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        CellBegins,
        Bare,
        Quoted,
        AfterQuote,
    }
    let end = record.iter().fold(At::CellBegins, |at, byte| match byte {
        b'"' if matches!(at, At::CellBegins | At::AfterQuote) => At::Quoted,
        b'"' if at == At::Quoted => At::AfterQuote,
        _ if at == At::Quoted => At::Quoted,
        b',' | b'\r' | b'\n' => At::CellBegins,
        _ => At::Bare,
    });
    end == At::Quoted
}
