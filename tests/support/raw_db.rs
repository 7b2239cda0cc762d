//! What stands in the database, read and disturbed behind the shop's back.

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use postgres::{Client, SimpleQueryMessage};
use rusqlite::{Connection, types::ValueRef};

use super::{Database, TestShop, on_a_thread};

/// Another program's connection to the same database.
pub(crate) enum RawDb {
    Sqlite(Connection),
    /// Its client has a runtime of its own, which must not run, nor end, inside that of a test.
    Postgres(Mutex<Option<Client>>),
}

/// A row's cells as texts.
pub(crate) type Cells = Vec<Option<String>>;

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
             WHERE m.product_id = p.id AND (m.order_id IS NULL OR m.cause = 'refund'))",
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
        "the kept count of a category is its count",
        "SELECT count(*) FROM categories c WHERE c.product_count <>
         (SELECT count(*) FROM products p WHERE p.category_id = c.id AND p.deleted_at IS NULL)",
    ),
    (
        "every event has its number",
        "SELECT count(*) FROM fresh_events",
    ),
];

/// What only a file has to be asked.
const SQLITE_INVARIANTS: &[(&str, &str)] = &[
    (
        "no row points nowhere",
        "SELECT count(*) FROM pragma_foreign_key_check",
    ),
    (
        "the file is whole",
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    ),
];

impl RawDb {
    /// Beside whatever runs on this data directory, or on this database.
    pub(crate) fn of(directory: &Path, database: Option<&Database>) -> RawDb {
        match database {
            None => RawDb::Sqlite(Connection::open(directory.join("shop.db")).unwrap()),
            Some(database) => {
                let client = on_a_thread(|| database.admin());
                RawDb::Postgres(Mutex::new(Some(client)))
            }
        }
    }

    fn ask<T: Send>(
        client: &Mutex<Option<Client>>,
        ask: impl FnOnce(&mut Client) -> T + Send,
    ) -> T {
        on_a_thread(|| ask(client.lock().unwrap().as_mut().unwrap()))
    }

    pub(crate) fn run(&self, sql: &str) {
        match self {
            RawDb::Sqlite(connection) => connection.execute_batch(sql).unwrap(),
            RawDb::Postgres(client) => {
                Self::ask(client, |client| client.batch_execute(sql)).unwrap();
            }
        }
    }

    /// Every row of the answer, each cell as a text.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Cells> {
        match self {
            RawDb::Sqlite(connection) => {
                let mut statement = connection.prepare(sql).unwrap();
                let width = statement.column_count();
                let rows = statement.query_map([], |row| {
                    (0..width).map(|at| row.get_ref(at).map(show)).collect()
                });
                rows.unwrap().map(Result::unwrap).collect()
            }
            RawDb::Postgres(client) => {
                let messages = Self::ask(client, |client| client.simple_query(sql)).unwrap();
                let rows = messages.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                rows.map(|row| {
                    (0..row.len())
                        .map(|at| row.get(at).map(str::to_owned))
                        .collect()
                })
                .collect()
            }
        }
    }

    /// The first cell of the first row.
    pub(crate) fn text(&self, sql: &str) -> String {
        self.rows(sql).remove(0).remove(0).unwrap()
    }

    /// The first cell of every row.
    pub(crate) fn numbers(&self, sql: &str) -> Vec<i64> {
        let rows = self.rows(sql).into_iter();
        rows.map(|mut row| row.remove(0).unwrap().parse().unwrap())
            .collect()
    }

    /// As [`RawDb::text`]; a truth is 1.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        match self.text(sql).as_str() {
            "t" => 1,
            "f" => 0,
            text => text.parse().unwrap(),
        }
    }

    /// From now on nothing can be written into this table.
    pub(crate) fn break_table(&self, table: &str) {
        self.fail_at(table, "TRUE", "ABORT");
    }

    /// From now on a row of this table of which `condition` (about `NEW`) is true undoes the whole
    /// transaction.
    pub(crate) fn undo_at(&self, table: &str, condition: &str) {
        self.fail_at(table, condition, "ROLLBACK");
    }

    fn fail_at(&self, table: &str, condition: &str, how: &str) {
        self.run(&match self {
            RawDb::Sqlite(_) => format!(
                "CREATE TRIGGER break_{table} BEFORE INSERT ON {table} WHEN {condition}
                 BEGIN SELECT RAISE({how}, 'broken by the test'); END"
            ),
            RawDb::Postgres(_) => format!(
                "CREATE FUNCTION break_{table}() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE 'broken by the test'; END $$;
                 CREATE TRIGGER break_{table} BEFORE INSERT ON {table} FOR EACH ROW
                     WHEN ({condition}) EXECUTE FUNCTION break_{table}()"
            ),
        });
    }

    pub(crate) fn mend_table(&self, table: &str) {
        self.run(&match self {
            RawDb::Sqlite(_) => format!("DROP TRIGGER break_{table}"),
            RawDb::Postgres(_) => format!("DROP FUNCTION break_{table} CASCADE"),
        });
    }

    /// Lets nobody else write into `table` before [`RawDb::let_go`].
    pub(crate) fn hold(&self, table: &str) {
        match self {
            RawDb::Sqlite(_) => self.run("BEGIN IMMEDIATE"),
            RawDb::Postgres(_) => self.run(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE")),
        }
    }

    pub(crate) fn let_go(&self) {
        self.run("COMMIT");
    }

    /// The names of all tables, in their order.
    pub(crate) fn tables(&self) -> Vec<String> {
        let names = self.rows(match self {
            RawDb::Sqlite(_) => {
                // What triggers make of a table, on one engine only: the index of words, and counts.
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                     AND name NOT LIKE 'product_fts%' AND name <> 'price_counts'"
            }
            RawDb::Postgres(_) => "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        });
        let mut names: Vec<_> = names.concat().into_iter().flatten().collect();
        names.sort();
        names
    }

    /// Every row of every table, in the same words on every engine.
    pub(crate) fn dump(&self) -> BTreeMap<String, Vec<String>> {
        self.await_numbers();
        let placeholders = |name: &str| {
            let rows = self.rows(&format!("SELECT {} FROM {name}", self.columns(name)));
            let mut rows: Vec<_> = rows.iter().map(|cells| format!("{cells:?}")).collect();
            rows.sort();
            rows
        };
        let names = self.tables().into_iter();
        names
            .map(|name| {
                let rows = placeholders(&name);
                (name, rows)
            })
            .collect()
    }

    /// All columns of a table, as a SELECT names them; bytes come in hex.
    fn columns(&self, table: &str) -> String {
        match self {
            RawDb::Sqlite(_) => "*".to_owned(),
            RawDb::Postgres(_) => self.text(&format!(
                "SELECT string_agg(CASE data_type
                     WHEN 'uuid' THEN format('encode(uuid_send(%I), ''hex'')', column_name)
                     WHEN 'bytea' THEN format('encode(%I, ''hex'')', column_name)
                     ELSE quote_ident(column_name) END, ', ' ORDER BY ordinal_position)
                 FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name = '{table}'"
            )),
        }
    }

    /// Waits until every committed event has its number: at once where one writer gives it.
    pub(crate) fn await_numbers(&self) {
        while self.number("SELECT count(*) FROM fresh_events") > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Fails the test if money, stock or the file itself do not add up.
    pub(crate) fn assert_sound(&self) {
        self.await_numbers();
        let more = match self {
            RawDb::Sqlite(_) => SQLITE_INVARIANTS,
            RawDb::Postgres(_) => &[],
        };
        for (what, breaches) in INVARIANTS.iter().chain(more) {
            assert_eq!(self.number(breaches), 0, "breached: {what}");
        }
    }
}

impl Drop for RawDb {
    fn drop(&mut self) {
        if let RawDb::Postgres(client) = self {
            let client = client.get_mut().map(Option::take);
            on_a_thread(|| drop(client));
        }
    }
}

fn show(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Some(hex::encode(bytes)),
    }
}

impl TestShop {
    pub(crate) fn raw_db(&self) -> RawDb {
        RawDb::of(self.directory.path(), self.database.as_deref())
    }
}
