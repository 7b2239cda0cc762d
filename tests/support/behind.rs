//! What stands in the database, read and disturbed behind the shop's back.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use rusqlite::{Connection, types::ValueRef};

use super::TestShop;

/// Another program's connection to the same file.
pub(crate) struct Behind(Connection);

/// Each must hold in every shop at every moment: what it is, and a statement that counts breaches.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "every order has lines",
        "SELECT count(*) FROM orders o
         WHERE NOT EXISTS (SELECT 1 FROM order_items i WHERE i.order_id = o.id)",
    ),
    (
        "every order has one payment of its total",
        "SELECT count(*) FROM orders o WHERE 1 <>
         (SELECT count(*) FROM payments p WHERE p.order_id = o.id AND p.amount = o.total)",
    ),
    (
        "every total is the sum of its lines",
        "SELECT count(*) FROM orders o WHERE o.total <>
         (SELECT sum(i.price * i.quantity) FROM order_items i WHERE i.order_id = o.id)",
    ),
    (
        "stock is the sum of its movements",
        "SELECT count(*) FROM products p WHERE p.stock <>
         (SELECT coalesce(sum(m.delta), 0) FROM stock_movements m WHERE m.product_id = p.id)",
    ),
    (
        "stock and what was sold are what came in",
        "SELECT count(*) FROM products p WHERE p.stock
         + (SELECT coalesce(sum(i.quantity), 0) FROM order_items i JOIN orders o ON o.id = i.order_id
            WHERE i.product_id = p.id AND o.status <> 'CANCELLED')
         <> (SELECT coalesce(sum(m.delta), 0) FROM stock_movements m
             WHERE m.product_id = p.id AND m.order_id IS NULL)",
    ),
    (
        "events are numbered without gaps",
        "SELECT count(*) <> coalesce(max(seq) - min(seq) + 1, 0) FROM events",
    ),
    (
        "the kept count is the count",
        "SELECT value <> (SELECT count(*) FROM products WHERE deleted_at IS NULL)
         FROM kept_counts WHERE name = 'products'",
    ),
    (
        "no row points nowhere",
        "SELECT count(*) FROM pragma_foreign_key_check",
    ),
    (
        "the file is whole",
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    ),
];

impl Behind {
    /// Beside whatever runs on this data directory.
    pub(crate) fn of(directory: &Path) -> Behind {
        Behind(Connection::open(directory.join("shop.db")).unwrap())
    }

    pub(crate) fn run(&self, sql: &str) {
        self.0.execute_batch(sql).unwrap();
    }

    /// The first cell of the first row.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub(crate) fn text(&self, sql: &str) -> String {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// From now on nothing can be written into this table.
    pub(crate) fn break_table(&self, table: &str) {
        self.run(&format!(
            "CREATE TRIGGER break_{table} BEFORE INSERT ON {table}
             BEGIN SELECT RAISE(ABORT, 'broken by the test'); END"
        ));
    }

    pub(crate) fn mend_table(&self, table: &str) {
        self.run(&format!("DROP TRIGGER break_{table}"));
    }

    /// Every row of every table.
    pub(crate) fn dump(&self) -> BTreeMap<String, Vec<String>> {
        let names = self.rows(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        );
        names
            .into_iter()
            .map(|name| {
                let mut rows = self.rows(&format!("SELECT * FROM {name}"));
                rows.sort();
                (name, rows)
            })
            .collect()
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let mut statement = self.0.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells: Vec<String> = (0..width)
                .map(|at| row.get_ref(at).map(show))
                .collect::<Result<_, _>>()?;
            Ok(cells.join(" | "))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Fails the test if money, stock or the file itself do not add up.
    pub(crate) fn assert_sound(&self) {
        for (what, breaches) in INVARIANTS {
            assert_eq!(self.number(breaches), 0, "breached: {what}");
        }
    }
}

fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().fold(String::from("x"), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        }),
    }
}

impl TestShop {
    pub(crate) fn behind(&self) -> Behind {
        Behind::of(self.directory.path())
    }
}
