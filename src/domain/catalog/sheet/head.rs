//! The first line of a sheet, which names its columns.

use csv::ByteRecord;

/// The names of the columns, in the order of an export.
pub(super) const COLUMNS: [&str; 8] = [
    "id",
    "name",
    "description",
    "price",
    "stockQuantity",
    "stockAtExport",
    "category",
    "images",
];

/// Spreadsheets leave out the last cells of a line if they are empty. A line without its last numbers is
/// a line that was cut off.
const MAY_BE_CUT: [&str; 2] = ["category", "images"];

/// Where the columns of a sheet are.
pub(super) struct Head {
    /// The index of each of [`COLUMNS`].
    places: [Option<usize>; COLUMNS.len()],
    /// How many cells the first line has, without empty ones at its end.
    width: usize,
    /// The indices of the cells without a name.
    unnamed: Vec<usize>,
}

impl Head {
    /// Reads the first line. Errors name everything wrong with it.
    pub(super) fn read(record: &ByteRecord) -> Result<Head, String> {
        let names: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
        let names: Vec<_> = names.iter().map(|name| name.trim()).collect();
        let mut wrong = Vec::new();
        let mut places = [None; COLUMNS.len()];
        for (place, column) in places.iter_mut().zip(COLUMNS) {
            let mut found = (0..names.len()).filter(|at| names[*at] == column);
            *place = found.next();
            if found.next().is_some() {
                wrong.push(format!("the column `{column}` stands there twice"));
            }
        }
        let has = |column| names.contains(&column);
        if !has("id") {
            let needed = ["name", "price"].into_iter().filter(|column| !has(column));
            let missing = needed.map(|column| {
                format!("the column `{column}` is missing, which new products need; known ones need `id`")
            });
            wrong.extend(missing);
        }
        for name in &names {
            if !name.is_empty() && !COLUMNS.contains(name) {
                wrong.push(format!("the column `{}` is unknown", name.escape_debug()));
            }
        }
        if !wrong.is_empty() {
            let columns = COLUMNS.join(",");
            return Err(format!(
                "{}; the first line names the columns, separated by commas or semicolons: {columns}",
                wrong.join("; ")
            ));
        }
        let has_name = |at: &usize| !names[*at].is_empty();
        let width = (0..names.len()).rfind(has_name).map_or(0, |last| last + 1);
        let unnamed = (0..width).filter(|at| !has_name(at)).collect();
        Ok(Head {
            places,
            width,
            unnamed,
        })
    }

    /// Errors unless the line has a cell for each column, and none beside them.
    pub(super) fn check(&self, record: &ByteRecord) -> Result<(), String> {
        let is_used = |at: &usize| record.get(*at).is_some_and(|cell| !super::is_blank(cell));
        let used = (0..record.len()).rfind(is_used).map_or(0, |last| last + 1);
        let is_cut = COLUMNS.iter().zip(self.places).any(|(column, place)| {
            place.is_some_and(|at| at >= record.len()) && !MAY_BE_CUT.contains(column)
        });
        if is_cut || used > self.width {
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

    /// Returns the cell of a column, which is an index into [`COLUMNS`]; `None` without such a column.
    pub(super) fn cell<'a>(&self, record: &'a ByteRecord, column: usize) -> Option<&'a [u8]> {
        self.places[column].map(|at| record.get(at).unwrap_or_default())
    }
}
