//! The table of products, which is drawn over itself.

use std::{cmp::Reverse, collections::HashMap, io};

use console::Term;

use super::shop::Product;
use crate::{
    cli::output::escape,
    core::{
        error::{Error, Result},
        event::StockChange,
    },
};

/// The maximum number of products in memory.
const MAX_ROWS: usize = 100;

/// How many names are looked up before the table is drawn.
const MAX_LOOKUPS: usize = 5;

/// The lines of the terminal that are not rows: the status, the headings, and the cursor.
const OTHER_LINES: usize = 3;

const MIN_WIDTH: usize = 20;

pub(super) struct Table {
    terminal: Term,
    status: String,
    rows: HashMap<String, Row>,
    /// Numbers the changes, for the order of the rows.
    changes: u64,
    has_changed: bool,
    /// The number of lines that were drawn.
    lines: usize,
}

struct Row {
    name: Name,
    stock: i64,
    /// The last change and its time; empty before the first.
    change: String,
    at: String,
    changed: u64,
}

enum Name {
    Unknown,
    Known(String),
    Deleted,
}

impl Table {
    /// Errors: `CommandFailed` if stdout is not a terminal.
    pub(super) fn new() -> Result<Table> {
        let terminal = Term::buffered_stdout();
        if !terminal.is_term() {
            let detail = "the table needs a terminal; in a pipe, use `--json`";
            return Err(Error::command_failed(detail));
        }
        Ok(Table {
            terminal,
            status: String::new(),
            rows: HashMap::new(),
            changes: 0,
            has_changed: true,
            lines: 0,
        })
    }

    pub(super) fn set_status(&mut self, status: String) {
        self.status = status;
    }

    /// Shows these products. Those with changes keep them.
    pub(super) fn load(&mut self, products: Vec<Product>) {
        let mut known = std::mem::take(&mut self.rows);
        for product in products {
            let previous = known.remove(&product.id);
            let (change, at, changed) =
                previous.map_or_else(Default::default, |row| (row.change, row.at, row.changed));
            let row = Row {
                name: Name::Known(product.name),
                stock: product.stock_quantity,
                change,
                at,
                changed,
            };
            self.rows.insert(product.id, row);
        }
        self.has_changed = true;
    }

    pub(super) fn update(&mut self, change: &StockChange, at: &str) {
        self.changes += 1;
        let row = self.rows.entry(change.id.to_string()).or_insert(Row {
            name: Name::Unknown,
            stock: change.stock_quantity,
            change: String::new(),
            at: String::new(),
            changed: 0,
        });
        let delta = change.stock_quantity - row.stock;
        if delta != 0 {
            row.change = format!("{delta:+}");
        }
        if change.deleted {
            row.name = Name::Deleted;
        }
        row.stock = change.stock_quantity;
        at.clone_into(&mut row.at);
        row.changed = self.changes;
        self.has_changed = true;
        if self.rows.len() > 2 * MAX_ROWS {
            let mut ages: Vec<u64> = self.rows.values().map(|row| row.changed).collect();
            ages.sort_unstable_by_key(|changed| Reverse(*changed));
            let oldest = ages[MAX_ROWS - 1];
            self.rows.retain(|_, row| row.changed >= oldest);
        }
    }

    pub(super) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Returns the ids of products that are shown without a name, up to a few.
    pub(super) fn unnamed(&self) -> Vec<String> {
        let unnamed = |(_, row): &(&String, &Row)| matches!(row.name, Name::Unknown);
        let shown = self.shown().into_iter().filter(unnamed);
        shown.take(MAX_LOOKUPS).map(|(id, _)| id.clone()).collect()
    }

    /// `None` if the product does not exist any more.
    pub(super) fn set_name(&mut self, id: &str, name: Option<String>) {
        if let Some(row) = self.rows.get_mut(id) {
            row.name = name.map_or(Name::Deleted, Name::Known);
        }
    }

    /// Returns the rows that fit on the terminal, the last change first.
    fn shown(&self) -> Vec<(&String, &Row)> {
        let (height, _) = self.terminal.size();
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(id, row)| (Reverse(row.changed), *id));
        rows.truncate(usize::from(height).saturating_sub(OTHER_LINES).max(1));
        rows
    }

    pub(super) fn draw(&mut self) -> io::Result<()> {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_header(["PRODUCT", "STOCK", "CHANGE", "AT"]);
        for (id, row) in self.shown() {
            let name = match &row.name {
                Name::Known(name) => escape(name).into_owned(),
                Name::Unknown => id.clone(),
                Name::Deleted => format!("{id} (deleted)"),
            };
            table.add_row([
                name,
                row.stock.to_string(),
                row.change.clone(),
                row.at.clone(),
            ]);
        }
        let text = format!("{}\n{}", escape(&self.status), table.trim_fmt());
        let (_, width) = self.terminal.size();
        let width = usize::from(width).max(MIN_WIDTH);
        self.terminal.clear_last_lines(self.lines)?;
        self.lines = 0;
        for line in text.lines() {
            // A longer line would take two.
            self.terminal
                .write_line(&console::truncate_str(line, width - 1, "…"))?;
            self.lines += 1;
        }
        self.has_changed = !self.unnamed().is_empty();
        self.terminal.flush()
    }
}
