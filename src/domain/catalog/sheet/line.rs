//! One line of a sheet, read into an entry or into everything wrong with it.

use std::collections::HashMap;

use csv::ByteRecord;

use super::{
    CategoryCell, Entry, Name, Sheet, StockCell,
    formula::unmark,
    head::{COLUMNS, Head},
};
use crate::{
    core::{
        id::ProductId,
        money::{Currency, MAX_AMOUNT, Price, Stock},
    },
    domain::catalog::{
        CategoryName, Description, ProductName,
        fold::{fold, slug},
    },
};

/// What has to be remembered from line to line.
pub(super) struct Reading {
    head: Head,
    currency: Currency,
    /// Where each id stood first.
    ids: HashMap<ProductId, u64>,
    /// Every spelling of a category that was met, and its index.
    spellings: HashMap<String, usize>,
}

impl Reading {
    pub(super) fn new(head: Head, currency: Currency) -> Reading {
        Reading {
            head,
            currency,
            ids: HashMap::new(),
            spellings: HashMap::new(),
        }
    }

    /// Reads one line into an entry, or into a fault that names everything wrong with it.
    pub(super) fn line(&mut self, sheet: &mut Sheet, line: u64, record: &ByteRecord) {
        let mut wrong = Wrong(Vec::new());
        match self.head.check(record) {
            Ok(()) => {
                // What is wrong is noted already.
                let entry = self.entry(sheet, line, record, &mut wrong);
                sheet.entries.extend(entry);
            }
            Err(why) => wrong.0.push(why),
        }
        if !wrong.0.is_empty() {
            sheet.fault(line, wrong.0.join("; "));
        }
    }

    fn entry(
        &mut self,
        sheet: &mut Sheet,
        line: u64,
        record: &ByteRecord,
        wrong: &mut Wrong,
    ) -> Result<Entry, Noted> {
        let cells = std::array::from_fn(|column| {
            let cell = self.head.cell(record, column);
            cell.map(|cell| wrong.utf8(COLUMNS[column], cell))
                .transpose()
        });
        let [
            id,
            name,
            description,
            price,
            stock,
            at_export,
            category,
            images,
        ] = cells;
        let id = id.and_then(|text| self.id(line, text.unwrap_or_default().trim(), wrong));
        // A line with a wrong id is not taken for a new product's as well.
        let is_new = matches!(id, Ok(None));
        let name = name.and_then(|text| wrong.name(text, is_new));
        let description = description.and_then(|text| {
            let read = |text| wrong.text::<Description>("description", text);
            text.map(read).transpose()
        });
        let price = price.and_then(|text| wrong.price(text, is_new, self.currency));
        let is_difference = matches!(at_export, Ok(Some(_)));
        let at_export = at_export.and_then(|text| wrong.at_export(text));
        let from = at_export.as_ref().ok().copied().flatten();
        let stock = stock.and_then(|text| wrong.stock(text, is_difference, from, is_new));
        let category = category.and_then(|text| self.category(sheet, text, wrong));
        let images = images.and_then(|text| wrong.images(unmark(text.unwrap_or_default())));
        Ok(Entry {
            line,
            id: id?,
            name: name?,
            description: description?,
            price: price?,
            stock: at_export.and(stock)?,
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
            return wrong.say("id", &format!("is in line {first} already"));
        }
        Ok(Some(id))
    }

    fn category(
        &mut self,
        sheet: &mut Sheet,
        text: Option<&str>,
        wrong: &mut Wrong,
    ) -> Result<CategoryCell, Noted> {
        let Some(text) = text else {
            return Ok(CategoryCell::Absent);
        };
        if text.trim().is_empty() {
            return Ok(CategoryCell::Empty);
        }
        if let Some(known) = self.spellings.get(text) {
            return Ok(CategoryCell::Named(*known));
        }
        let name = wrong.text::<CategoryName>("category", text)?;
        let index = sheet.categories.len();
        sheet.categories.push(name);
        self.spellings.insert(text.to_owned(), index);
        Ok(CategoryCell::Named(index))
    }
}

/// What is wrong with one line, collected cell by cell.
struct Wrong(Vec<String>);

/// What is wrong with a cell is in [`Wrong`].
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

    fn name(&mut self, cell: Option<&str>, is_new: bool) -> Result<Option<Name>, Noted> {
        let Some(cell) = given(cell, is_new) else {
            return Ok(None);
        };
        let text = self.text::<ProductName>("name", cell)?;
        Ok(Some(Name {
            key: fold(text.as_str()),
            slug: slug(text.as_str()),
            text,
        }))
    }

    fn price(
        &mut self,
        cell: Option<&str>,
        is_new: bool,
        currency: Currency,
    ) -> Result<Option<Price>, Noted> {
        let Some(cell) = given(cell, is_new) else {
            return Ok(None);
        };
        let price = Price::parse(cell, currency);
        price.map(Some).or_else(|why| self.say("price", &why))
    }

    /// The stock at an export may lie beyond what can be set, since orders put stock back.
    fn at_export(&mut self, cell: Option<&str>) -> Result<Option<i64>, Noted> {
        let Some(cell) = given(cell, false) else {
            return Ok(None);
        };
        self.number("stockAtExport", cell, MAX_AMOUNT).map(Some)
    }

    fn stock(
        &mut self,
        cell: Option<&str>,
        is_difference: bool,
        from: Option<i64>,
        is_new: bool,
    ) -> Result<StockCell, Noted> {
        let Some(cell) = given(cell, false) else {
            return Ok(StockCell::Empty);
        };
        let is_bounded = is_new || !is_difference;
        let most = if is_bounded { Stock::MOST } else { MAX_AMOUNT };
        let to = self.number("stockQuantity", cell, most)?;
        Ok(match from {
            Some(from) => StockCell::Moved { from, to },
            None if is_difference => StockCell::Unknown { to },
            None => StockCell::Set { to },
        })
    }

    fn number(&mut self, column: &str, cell: &str, most: i64) -> Result<i64, Noted> {
        match cell.trim().parse() {
            Ok(number) if (0..=most).contains(&number) => Ok(number),
            _ => self.say(column, &format!("must be a whole number from 0 to {most}")),
        }
    }

    /// Returns whether there are any.
    fn images(&mut self, text: &str) -> Result<bool, Noted> {
        let is_url = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if text.split_whitespace().all(is_url) {
            Ok(!text.trim().is_empty())
        } else {
            self.say("images", "must hold URLs, separated by spaces, or nothing")
        }
    }
}

/// Returns the cell if it holds a text; a cell that is `required` counts even if it does not.
fn given(cell: Option<&str>, required: bool) -> Option<&str> {
    match cell {
        Some(text) if !text.trim().is_empty() => Some(text),
        _ => required.then_some(cell.unwrap_or_default()),
    }
}
