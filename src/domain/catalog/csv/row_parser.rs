//! Parses one record into an import row, or into an error that lists everything wrong with it.

use std::collections::HashMap;

use csv::ByteRecord;

use super::{
    formula::unescape,
    header::{COLUMNS, Header},
    import_file::ImportFile,
    import_row::{
        CategoryCell, ImportRow, NameCell, OptionalCell, SkuCell, StockCell, VariantCells,
    },
};
use crate::{
    core::{
        id::ProductId,
        money::{Currency, MAX_AMOUNT, Price, Stock},
    },
    domain::catalog::{
        category::CategoryName,
        normalize::{case_fold, normalize, slug},
        product::{Description, ProductName},
        variant::{VariantCode, Weight},
    },
};

/// Parses records; holds the state that spans them.
pub(super) struct RowParser {
    header: Header,
    currency: Currency,
    /// The first line with each id.
    ids: HashMap<ProductId, u64>,
    /// The first line with each normalized SKU.
    skus: HashMap<String, u64>,
    /// The index of each category, by its exact spelling in the file.
    category_indices: HashMap<String, usize>,
}

impl RowParser {
    pub(super) fn new(header: Header, currency: Currency) -> RowParser {
        RowParser {
            header,
            currency,
            ids: HashMap::new(),
            skus: HashMap::new(),
            category_indices: HashMap::new(),
        }
    }

    /// Parses one record and adds the row or the error to the file.
    pub(super) fn parse(&mut self, file: &mut ImportFile, line: u64, record: &ByteRecord) {
        let mut problems = Problems(Vec::new());
        match self.header.check(record) {
            Ok(()) => {
                // On an error, the reason is in `problems`.
                let row = self.row(file, line, record, &mut problems);
                file.rows.extend(row);
            }
            Err(why) => problems.0.push(why),
        }
        if !problems.0.is_empty() {
            file.add_row_error(line, problems.0.join("; "));
        }
    }

    fn row(
        &mut self,
        file: &mut ImportFile,
        line: u64,
        record: &ByteRecord,
        problems: &mut Problems,
    ) -> Result<ImportRow, Reported> {
        let cells = std::array::from_fn(|column| {
            let cell = self.header.cell(record, column);
            cell.map(|cell| problems.utf8(COLUMNS[column], cell))
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
            sku,
            barcode,
            compare_at_price,
            weight,
        ] = cells;
        let id = id.and_then(|text| self.id(line, text.unwrap_or_default().trim(), problems));
        // A row with an invalid id is not checked as a new product.
        let is_new = matches!(id, Ok(None));
        let name = name.and_then(|text| problems.name(text, is_new));
        let description = description.and_then(|text| {
            let read = |text| problems.text::<Description>("description", text);
            text.map(read).transpose()
        });
        let price = price.and_then(|text| problems.price(text, is_new, self.currency));
        let is_difference = matches!(at_export, Ok(Some(_)));
        let at_export = at_export.and_then(|text| problems.at_export(text));
        let from = at_export.as_ref().ok().copied().flatten();
        let stock = stock.and_then(|text| problems.stock(text, is_difference, from, is_new));
        let category = category.and_then(|text| self.category(file, text, problems));
        let images = images.and_then(|text| problems.images(unescape(text.unwrap_or_default())));
        let sku = sku.and_then(|text| optional(text, |text| self.sku(line, text, problems)));
        let barcode =
            barcode.and_then(|text| optional(text, |text| problems.code("barcode", text)));
        let compare_at_price = compare_at_price.and_then(|text| {
            let currency = self.currency;
            optional(text, |text| {
                problems.amount("compareAtPrice", text, currency)
            })
        });
        let weight = weight.and_then(|text| optional(text, |text| problems.weight(text)));
        Ok(ImportRow {
            line,
            id: id?,
            name: name?,
            description: description?,
            price: price?,
            stock: at_export.and(stock)?,
            category: category?,
            has_images: images?,
            variant: VariantCells {
                sku: sku?,
                barcode: barcode?,
                compare_at_price: compare_at_price?,
                weight: weight?,
            },
        })
    }

    fn id(
        &mut self,
        line: u64,
        text: &str,
        problems: &mut Problems,
    ) -> Result<Option<ProductId>, Reported> {
        if text.is_empty() {
            return Ok(None);
        }
        let Ok(id) = text.parse::<ProductId>() else {
            return problems.report("id", "must be a product's id, or empty for a new product");
        };
        let first = *self.ids.entry(id).or_insert(line);
        if first != line {
            return problems.report("id", &format!("is in line {first} already"));
        }
        Ok(Some(id))
    }

    fn sku(&mut self, line: u64, text: &str, problems: &mut Problems) -> Result<SkuCell, Reported> {
        let code = problems.code("sku", text)?;
        let key = case_fold(code.as_str());
        let first = *self.skus.entry(key.clone()).or_insert(line);
        if first != line {
            return problems.report("sku", &format!("is in line {first} already"));
        }
        Ok(SkuCell { code, key })
    }

    fn category(
        &mut self,
        file: &mut ImportFile,
        text: Option<&str>,
        problems: &mut Problems,
    ) -> Result<CategoryCell, Reported> {
        let Some(text) = text else {
            return Ok(CategoryCell::Absent);
        };
        if text.trim().is_empty() {
            return Ok(CategoryCell::Empty);
        }
        if let Some(known) = self.category_indices.get(text) {
            return Ok(CategoryCell::Named(*known));
        }
        let name = problems.text::<CategoryName>("category", text)?;
        let index = file.categories.len();
        file.categories.push(name);
        self.category_indices.insert(text.to_owned(), index);
        Ok(CategoryCell::Named(index))
    }
}

/// The problems of one record, collected cell by cell.
struct Problems(Vec<String>);

/// The problem has been added to [`Problems`].
struct Reported;

impl Problems {
    fn report<T>(&mut self, column: &str, why: &str) -> Result<T, Reported> {
        self.0.push(format!("`{column}` {why}"));
        Err(Reported)
    }

    fn utf8<'a>(&mut self, column: &str, cell: &'a [u8]) -> Result<&'a str, Reported> {
        match std::str::from_utf8(cell) {
            Ok(text) => Ok(text),
            Err(_) => self.report(column, "is not UTF-8; save the file as CSV in UTF-8"),
        }
    }

    fn text<T>(&mut self, column: &str, cell: &str) -> Result<T, Reported>
    where
        T: TryFrom<String, Error = String>,
    {
        T::try_from(unescape(cell).to_owned()).or_else(|why| self.report(column, &why))
    }

    fn name(&mut self, cell: Option<&str>, is_new: bool) -> Result<Option<NameCell>, Reported> {
        let Some(cell) = present(cell, is_new) else {
            return Ok(None);
        };
        let text = self.text::<ProductName>("name", cell)?;
        Ok(Some(NameCell {
            key: normalize(text.as_str()),
            slug: slug(text.as_str()),
            text,
        }))
    }

    fn price(
        &mut self,
        cell: Option<&str>,
        is_new: bool,
        currency: Currency,
    ) -> Result<Option<Price>, Reported> {
        let Some(cell) = present(cell, is_new) else {
            return Ok(None);
        };
        self.amount("price", cell, currency).map(Some)
    }

    fn amount(&mut self, column: &str, cell: &str, currency: Currency) -> Result<Price, Reported> {
        Price::parse(cell, currency).or_else(|why| self.report(column, &why))
    }

    fn weight(&mut self, cell: &str) -> Result<Weight, Reported> {
        let grams = self.number("weightGrams", cell, Weight::MAX)?;
        Weight::try_from(grams).or_else(|why| self.report("weightGrams", &why.to_string()))
    }

    /// Parses a SKU or barcode.
    fn code(&mut self, column: &str, cell: &str) -> Result<VariantCode, Reported> {
        self.text(column, cell.trim())
    }

    /// Parses `stockAtExport`, which may exceed the maximum stock, since cancelled orders return stock.
    fn at_export(&mut self, cell: Option<&str>) -> Result<Option<i64>, Reported> {
        let Some(cell) = present(cell, false) else {
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
    ) -> Result<StockCell, Reported> {
        let Some(cell) = present(cell, false) else {
            return Ok(StockCell::Empty);
        };
        let is_bounded = is_new || !is_difference;
        let max = if is_bounded { Stock::MAX } else { MAX_AMOUNT };
        let to = self.number("stockQuantity", cell, max)?;
        Ok(match from {
            Some(from) => StockCell::Moved { from, to },
            None if is_difference => StockCell::NotExported { to },
            None => StockCell::Set { to },
        })
    }

    fn number(&mut self, column: &str, cell: &str, max: i64) -> Result<i64, Reported> {
        match cell.trim().parse() {
            Ok(number) if (0..=max).contains(&number) => Ok(number),
            _ => self.report(column, &format!("must be a whole number from 0 to {max}")),
        }
    }

    /// Returns whether the cell has any URLs.
    fn images(&mut self, text: &str) -> Result<bool, Reported> {
        let is_url = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if text.split_whitespace().all(is_url) {
            Ok(!text.trim().is_empty())
        } else {
            self.report("images", "must hold URLs, separated by spaces, or nothing")
        }
    }
}

/// Parses a cell of a column that may be missing in the file, and whose cells may be empty.
fn optional<T>(
    cell: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, Reported>,
) -> Result<OptionalCell<T>, Reported> {
    match cell {
        None => Ok(OptionalCell::Absent),
        Some(text) if text.trim().is_empty() => Ok(OptionalCell::Empty),
        Some(text) => parse(text).map(OptionalCell::Value),
    }
}

/// Returns the cell unless it is blank or missing; a `required` cell is returned in any case.
fn present(cell: Option<&str>, required: bool) -> Option<&str> {
    match cell {
        Some(text) if !text.trim().is_empty() => Some(text),
        _ => required.then_some(cell.unwrap_or_default()),
    }
}
