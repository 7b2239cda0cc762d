//! The header of a CSV file: which column is where.

use csv::ByteRecord;

/// The column names, in the order of an export.
pub(super) const COLUMNS: [&str; 19] = [
    "id",
    "name",
    "description",
    "price",
    "stockQuantity",
    "stockAtExport",
    "category",
    "images",
    "variantId",
    "sku",
    "barcode",
    "option1",
    "value1",
    "option2",
    "value2",
    "option3",
    "value3",
    "compareAtPrice",
    "weightGrams",
];

/// Spreadsheets omit trailing empty cells, which only the columns after these may have: `category`, `images` and those
/// of variants. A row that ends before its price or stock was truncated.
const NOT_OMITTED: usize = 6;

/// Returns whether an export without options has this column, given as an index into [`COLUMNS`]; `has_codes` is whether it
/// has SKUs, barcodes, earlier prices and weights.
pub(super) fn is_without_options(column: usize, has_codes: bool) -> bool {
    match COLUMNS[column] {
        "sku" | "barcode" | "compareAtPrice" | "weightGrams" => has_codes,
        "variantId" | "option1" | "value1" | "option2" | "value2" | "option3" | "value3" => false,
        _ => true,
    }
}

/// The positions of the columns in a file.
pub(super) struct Header {
    /// The index of each of [`COLUMNS`].
    indices: [Option<usize>; COLUMNS.len()],
    /// The number of cells in the header, without trailing empty ones.
    width: usize,
    /// The indices of the header cells without a name.
    unnamed: Vec<usize>,
}

impl Header {
    /// Parses the header. The error lists everything wrong with it.
    pub(super) fn parse(record: &ByteRecord) -> Result<Header, String> {
        let names: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
        let names: Vec<_> = names.iter().map(|name| name.trim()).collect();
        let mut problems = Vec::new();
        let mut indices = [None; COLUMNS.len()];
        for (index, column) in indices.iter_mut().zip(COLUMNS) {
            let mut found = (0..names.len()).filter(|at| names[*at] == column);
            *index = found.next();
            if found.next().is_some() {
                problems.push(format!("the column `{column}` appears more than once"));
            }
        }
        let has = |column| names.contains(&column);
        if !has("id") {
            let needed = ["name", "price"].into_iter().filter(|column| !has(column));
            let missing = needed.map(|column| {
                format!("the column `{column}` is missing: new products need it, existing ones need `id`")
            });
            problems.extend(missing);
        }
        for name in &names {
            if !name.is_empty() && !COLUMNS.contains(name) {
                problems.push(format!("the column `{}` is unknown", name.escape_debug()));
            }
        }
        if !problems.is_empty() {
            let columns = COLUMNS.join(",");
            return Err(format!(
                "{}; the first line names the columns, separated by commas or semicolons: {columns}",
                problems.join("; ")
            ));
        }
        let has_name = |at: &usize| !names[*at].is_empty();
        let width = (0..names.len()).rfind(has_name).map_or(0, |last| last + 1);
        let unnamed = (0..width).filter(|at| !has_name(at)).collect();
        Ok(Header {
            indices,
            width,
            unnamed,
        })
    }

    /// Errors unless the row has a cell for every column and no cell without a column.
    pub(super) fn check(&self, record: &ByteRecord) -> Result<(), String> {
        let is_used = |at: &usize| record.get(*at).is_some_and(|cell| !is_blank(cell));
        let used = (0..record.len()).rfind(is_used).map_or(0, |last| last + 1);
        let required = &self.indices[..NOT_OMITTED];
        let is_truncated = required.iter().flatten().any(|at| *at >= record.len());
        if is_truncated || used > self.width {
            let (cells, width) = (record.len(), self.width);
            return Err(format!("holds {cells} cells; the first line has {width}"));
        }
        match self.unnamed.iter().find(|at| is_used(at)) {
            Some(at) => Err(format!(
                "holds a cell in column {}, which the first line does not name",
                at + 1
            )),
            None => Ok(()),
        }
    }

    /// Returns the cell of a column, given as an index into [`COLUMNS`], or `None` if the file lacks the
    /// column.
    pub(super) fn cell<'a>(&self, record: &'a ByteRecord, column: usize) -> Option<&'a [u8]> {
        self.indices[column].map(|at| record.get(at).unwrap_or_default())
    }
}

pub(super) fn is_blank(cell: &[u8]) -> bool {
    cell.trim_ascii().is_empty()
}
