//! Parses one record into an import row, or into an error that lists everything wrong with it.

use std::{collections::HashMap, str::FromStr};

use csv::ByteRecord;

use super::{
    formula::unescape,
    header::{COLUMNS, Header},
    import_file::ImportFile,
    import_row::{
        CategoryCell, CellOption, ImportProduct, ImportVariant, NameCell, OptionalCell, StockCell,
        VariantCells,
    },
};
use crate::{
    core::{
        id::{ProductId, VariantId},
        money::{Currency, MAX_AMOUNT, Price, Stock},
    },
    domain::catalog::{
        category::CategoryName,
        normalize::{case_fold, normalize, slug},
        options::{OptionName, OptionText},
        product::{Description, ProductName},
        variant::{VariantCode, Weight},
    },
};

/// Parses records; holds the state that spans them.
pub(super) struct RowParser {
    header: Header,
    currency: Currency,
    /// The index of the product with each id.
    products: HashMap<ProductId, usize>,
    /// The first line with each id of a variant.
    variants: HashMap<VariantId, u64>,
    /// The first line with each normalized SKU.
    skus: HashMap<String, u64>,
    /// The index of each category, by its exact spelling in the file.
    category_indices: HashMap<String, usize>,
    previous: PreviousRow,
}

/// What the row before was. A row without an id is another variant of the same product if both have options, and it has the
/// same name or none.
#[derive(Clone, Copy)]
enum PreviousRow {
    /// No new product with options.
    Other,
    /// A variant of the new product at this index.
    NewVariant(usize),
    /// Invalid.
    Invalid,
}

impl RowParser {
    pub(super) fn new(header: Header, currency: Currency) -> RowParser {
        RowParser {
            header,
            currency,
            products: HashMap::new(),
            variants: HashMap::new(),
            skus: HashMap::new(),
            category_indices: HashMap::new(),
            previous: PreviousRow::Other,
        }
    }

    /// Parses one record and adds the row or the error to the file.
    pub(super) fn parse(&mut self, file: &mut ImportFile, line: u64, record: &ByteRecord) {
        let mut problems = Problems(Vec::new());
        match self.header.check(record) {
            Ok(()) => {
                // On an error, the reason is in `problems`.
                if let Ok(row) = self.row(file, line, record, &mut problems) {
                    self.add(file, row, &mut problems);
                }
            }
            Err(why) => problems.0.push(why),
        }
        if !problems.0.is_empty() {
            self.previous = PreviousRow::Invalid;
            file.add_row_error(line, problems.0.join("; "));
        }
    }

    /// Adds a row to its product.
    fn add(&mut self, file: &mut ImportFile, row: ImportProduct, problems: &mut Problems) {
        let (id, is_variant) = (row.id, row.id.is_none() && row.has_options());
        let product = match (id, self.previous) {
            (Some(id), _) => self.products.get(&id).copied(),
            (None, PreviousRow::NewVariant(at)) if is_variant => {
                let name = file.products[at]
                    .name
                    .as_ref()
                    .map(|name| name.text.as_str());
                let continues = row
                    .name
                    .as_ref()
                    .is_none_or(|own| Some(own.text.as_str()) == name);
                continues.then_some(at)
            }
            // Its product is not known, and the file is not imported anyway.
            (None, PreviousRow::Invalid) if is_variant && row.name.is_none() => return,
            (None, _) => None,
        };
        match file.add_row(product, row) {
            Ok(index) => {
                if let Some(id) = id {
                    self.products.insert(id, index);
                }
                self.previous = if is_variant {
                    PreviousRow::NewVariant(index)
                } else {
                    PreviousRow::Other
                };
            }
            Err(why) => problems.0.extend(why),
        }
    }

    fn row(
        &mut self,
        file: &mut ImportFile,
        line: u64,
        record: &ByteRecord,
        problems: &mut Problems,
    ) -> Result<ImportProduct, Reported> {
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
            variant_id,
            sku,
            barcode,
            option1,
            value1,
            option2,
            value2,
            option3,
            value3,
            compare_at_price,
            weight,
        ] = cells;
        let id = id.and_then(|text| problems.id("id", "product", text));
        // A row with an invalid id is not checked as a new product.
        let is_new = matches!(id, Ok(None));
        let variant_id = variant_id.and_then(|text| self.variant_id(line, text, is_new, problems));
        let selected = problems.options([(option1, value1), (option2, value2), (option3, value3)]);
        let continues = !matches!(self.previous, PreviousRow::Other)
            && selected.as_ref().is_ok_and(|selected| !selected.is_empty());
        let name = name.and_then(|text| problems.name(text, is_new && !continues));
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
        let cells = VariantCells {
            sku: sku?,
            barcode: barcode?,
            compare_at_price: compare_at_price?,
            weight: weight?,
        };
        let variant = ImportVariant {
            line,
            id: variant_id?,
            options: selected?,
            price: price?,
            stock: at_export.and(stock)?,
            cells,
        };
        Ok(ImportProduct {
            line,
            id: id?,
            name: name?,
            description: description?,
            category: category?,
            has_images: images?,
            variants: vec![variant],
        })
    }

    fn variant_id(
        &mut self,
        line: u64,
        cell: Option<&str>,
        is_new: bool,
        problems: &mut Problems,
    ) -> Result<Option<VariantId>, Reported> {
        let Some(id) = problems.id("variantId", "variant", cell)? else {
            return Ok(None);
        };
        if is_new {
            return problems.report("variantId", "needs `id`, which is that of its product");
        }
        let first = *self.variants.entry(id).or_insert(line);
        if first != line {
            return problems.report("variantId", &format!("is in line {first} already"));
        }
        Ok(Some(id))
    }

    fn sku(
        &mut self,
        line: u64,
        text: &str,
        problems: &mut Problems,
    ) -> Result<VariantCode, Reported> {
        let code = problems.code("sku", text)?;
        let first = *self.skus.entry(case_fold(code.as_str())).or_insert(line);
        if first != line {
            return problems.report("sku", &format!("is in line {first} already"));
        }
        Ok(code)
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

/// A cell, or `None` if the file has no such column.
type Cell<'a> = Result<Option<&'a str>, Reported>;

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

    /// Parses the id of a product or variant, which is empty for a new one.
    fn id<T: FromStr>(
        &mut self,
        column: &str,
        noun: &str,
        cell: Option<&str>,
    ) -> Result<Option<T>, Reported> {
        match cell.unwrap_or_default().trim() {
            "" => Ok(None),
            text => text.parse().map(Some).or_else(|_| {
                self.report(
                    column,
                    &format!("must be a {noun}'s id, or empty for a new {noun}"),
                )
            }),
        }
    }

    /// Parses the options of a row.
    fn options(&mut self, cells: [(Cell<'_>, Cell<'_>); 3]) -> Result<Vec<CellOption>, Reported> {
        let mut options: Vec<CellOption> = Vec::new();
        for (number, (name, value)) in (1..).zip(cells) {
            let (option, text) = (format!("option{number}"), format!("value{number}"));
            let (name, value) = (present(name?, false), present(value?, false));
            let (name, value) = match (name, value) {
                (None, None) => continue,
                (Some(name), Some(value)) => (name, value),
                (Some(_), None) => {
                    return self.report(&text, &format!("is empty, but `{option}` is not"));
                }
                (None, Some(_)) => {
                    return self.report(&option, &format!("is empty, but `{text}` is not"));
                }
            };
            let name = self.text::<OptionName>(&option, name)?;
            let value = self.text::<OptionText>(&text, value)?;
            let name_key = case_fold(name.as_str());
            if options.iter().any(|other| other.name_key == name_key) {
                return self.report(&option, "is the same option as another of the row");
            }
            let value_key = case_fold(value.as_str());
            options.push(CellOption {
                name,
                value,
                name_key,
                value_key,
            });
        }
        Ok(options)
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
