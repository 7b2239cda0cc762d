//! Direct access to the database: reads its rows, checks invariants and injects faults.

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use postgres::{Client, SimpleQueryMessage};
use rusqlite::{Connection, types::ValueRef};
use uuid::Uuid;

use super::{Database, TestShop, on_a_thread};

/// A separate connection to the shop's database.
pub(crate) enum RawDb {
    Sqlite(Connection),
    /// The client owns a runtime, which must neither run nor be dropped inside the runtime of a test.
    Postgres(Mutex<Option<Client>>),
}

/// The columns of a row as text.
pub(crate) type Cells = Vec<Option<String>>;

/// Invariants that hold in every shop at any time: a name, and a query that counts violations.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "every order has line items",
        "SELECT count(*) FROM orders o
         WHERE NOT EXISTS (SELECT 1 FROM order_lines i WHERE i.order_id = o.id)",
    ),
    (
        "every order has one payment over its total",
        "SELECT count(*) FROM orders o WHERE 1 <>
         (SELECT count(*) FROM payments p WHERE p.order_id = o.id AND p.amount = o.total)",
    ),
    (
        "every total is the sum of its line items",
        "SELECT count(*) FROM orders o WHERE o.total <>
         (SELECT sum(i.price * i.quantity) FROM order_lines i WHERE i.order_id = o.id)",
    ),
    (
        "a product has a variant unless it is deleted",
        "SELECT count(*) FROM products p WHERE (p.deleted_at IS NULL) <> EXISTS (
             SELECT 1 FROM variants v WHERE v.product_id = p.id AND v.deleted_at IS NULL)",
    ),
    (
        "stock is the sum of its movements",
        "SELECT count(*) FROM variants v JOIN products p ON p.id = v.product_id WHERE coalesce(v.stock, p.stock) <>
         (SELECT coalesce(sum(m.delta), 0) FROM stock_movements m
          WHERE m.product_id = p.id AND coalesce(m.variant_id, m.product_id) = v.id)",
    ),
    (
        "stock plus sold quantity equals received quantity",
        "SELECT count(*) FROM variants v JOIN products p ON p.id = v.product_id WHERE coalesce(v.stock, p.stock)
         + (SELECT coalesce(sum(i.quantity), 0) FROM order_lines i JOIN orders o ON o.id = i.order_id
            WHERE i.variant_id = v.id AND o.status <> 'CANCELLED')
         <> (SELECT coalesce(sum(m.delta), 0) FROM stock_movements m
             WHERE m.product_id = p.id AND coalesce(m.variant_id, m.product_id) = v.id
                 AND (m.order_id IS NULL OR m.cause = 'refund'))",
    ),
    (
        "a product with options keeps the prices, the stock and the number of its variants",
        "SELECT count(*) FROM products p JOIN (
             SELECT product_id, count(*) AS variants, min(price) AS lowest, max(price) AS highest, sum(stock) AS total
             FROM variants WHERE deleted_at IS NULL AND options_key <> '' GROUP BY product_id
         ) v ON v.product_id = p.id
         WHERE p.deleted_at IS NULL AND NOT (p.price = v.lowest AND coalesce(p.price_max, 0) = v.highest
             AND p.stock = v.total AND p.variant_count = v.variants)",
    ),
    (
        "sequence numbers have no gaps",
        "SELECT count(*) <> coalesce(max(seq) - min(seq) + 1, 0) FROM events",
    ),
    (
        "the stored product count is correct",
        "SELECT value <> (SELECT count(*) FROM products WHERE deleted_at IS NULL)
         FROM kept_counts WHERE name = 'products'",
    ),
    (
        "the stored product counts of categories are correct",
        "SELECT count(*) FROM categories c WHERE c.product_count <>
         (SELECT count(*) FROM products p WHERE p.category_id = c.id AND p.deleted_at IS NULL)",
    ),
    (
        "every event has a sequence number",
        "SELECT count(*) FROM fresh_events",
    ),
    (
        "the entries of the audit log have numbers without gaps",
        "SELECT count(*) <> coalesce(max(seq), 0) FROM audit",
    ),
];

/// Invariants that only SQLite can violate.
const SQLITE_INVARIANTS: &[(&str, &str)] = &[
    (
        "no foreign key is violated",
        "SELECT count(*) FROM pragma_foreign_key_check",
    ),
    (
        "the file is not corrupted",
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    ),
];

impl RawDb {
    /// Connects to the database of this data directory, or to this Postgres database.
    pub(crate) fn open(directory: &Path, database: Option<&Database>) -> RawDb {
        match database {
            None => RawDb::Sqlite(Connection::open(directory.join("shop.db")).unwrap()),
            Some(database) => {
                let client = on_a_thread(|| database.admin());
                RawDb::Postgres(Mutex::new(Some(client)))
            }
        }
    }

    fn with_client<T: Send>(
        client: &Mutex<Option<Client>>,
        run: impl FnOnce(&mut Client) -> T + Send,
    ) -> T {
        on_a_thread(|| run(client.lock().unwrap().as_mut().unwrap()))
    }

    pub(crate) fn run(&self, sql: &str) {
        self.try_run(sql).unwrap();
    }

    /// Like [`RawDb::run`]. Returns the database's message if it refuses.
    pub(crate) fn try_run(&self, sql: &str) -> Result<(), String> {
        match self {
            RawDb::Sqlite(connection) => connection.execute_batch(sql).map_err(|e| e.to_string()),
            RawDb::Postgres(client) => {
                let done = Self::with_client(client, |client| client.batch_execute(sql));
                done.map_err(|error| match error.as_db_error() {
                    Some(error) => error.message().to_owned(),
                    None => error.to_string(),
                })
            }
        }
    }

    /// Returns the SQL literal of an id.
    pub(crate) fn id(&self, id: Uuid) -> String {
        match self {
            RawDb::Sqlite(_) => format!("X'{}'", id.simple()),
            RawDb::Postgres(_) => format!("'{id}'"),
        }
    }

    /// Returns the SQL literal of bytes.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> String {
        let hex = hex::encode(bytes);
        match self {
            RawDb::Sqlite(_) => format!("X'{hex}'"),
            RawDb::Postgres(_) => format!("'\\x{hex}'"),
        }
    }

    /// Returns all rows, with each column as text.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Cells> {
        match self {
            RawDb::Sqlite(connection) => {
                let mut statement = connection.prepare(sql).unwrap();
                let width = statement.column_count();
                let rows = statement.query_map([], |row| {
                    (0..width).map(|at| row.get_ref(at).map(to_text)).collect()
                });
                rows.unwrap().map(Result::unwrap).collect()
            }
            RawDb::Postgres(client) => {
                let messages =
                    Self::with_client(client, |client| client.simple_query(sql)).unwrap();
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

    /// Returns the first column of the first row.
    pub(crate) fn text(&self, sql: &str) -> String {
        self.rows(sql).remove(0).remove(0).unwrap()
    }

    /// Returns the first column of every row.
    pub(crate) fn numbers(&self, sql: &str) -> Vec<i64> {
        let rows = self.rows(sql).into_iter();
        rows.map(|mut row| row.remove(0).unwrap().parse().unwrap())
            .collect()
    }

    /// Like [`RawDb::text`], as a number; `true` is 1.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        match self.text(sql).as_str() {
            "t" => 1,
            "f" => 0,
            text => text.parse().unwrap(),
        }
    }

    /// Makes all further inserts into the table fail.
    pub(crate) fn break_table(&self, table: &str) {
        self.fail_at(table, "TRUE", "ABORT");
    }

    /// Makes an insert roll back the whole transaction if `condition` (about `NEW`) is true.
    pub(crate) fn roll_back_at(&self, table: &str, condition: &str) {
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

    /// Reverts [`RawDb::break_table`] and [`RawDb::roll_back_at`].
    pub(crate) fn repair_table(&self, table: &str) {
        self.run(&match self {
            RawDb::Sqlite(_) => format!("DROP TRIGGER break_{table}"),
            RawDb::Postgres(_) => format!("DROP FUNCTION break_{table} CASCADE"),
        });
    }

    /// Blocks writes of others to `table` until [`RawDb::release`]. (On SQLite, to the whole database.)
    pub(crate) fn hold(&self, table: &str) {
        match self {
            RawDb::Sqlite(_) => self.run("BEGIN IMMEDIATE"),
            RawDb::Postgres(_) => self.run(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE")),
        }
    }

    /// Commits, and so releases the locks of [`RawDb::hold`].
    pub(crate) fn release(&self) {
        self.run("COMMIT");
    }

    /// Returns the names of all tables that both engines have, sorted.
    pub(crate) fn tables(&self) -> Vec<String> {
        let names = self.rows(match self {
            RawDb::Sqlite(_) => {
                // SQLite only: counts maintained by triggers.
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                     AND name <> 'price_counts'"
            }
            RawDb::Postgres(_) => "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        });
        let mut names: Vec<_> = names.concat().into_iter().flatten().collect();
        names.sort();
        names
    }

    /// Returns all rows of all tables, in the same format on both engines.
    pub(crate) fn dump(&self) -> BTreeMap<String, Vec<String>> {
        self.wait_for_event_numbers();
        let rows_of = |name: &str| {
            let rows = self.rows(&format!("SELECT {} FROM {name}", self.columns(name)));
            let mut rows: Vec<_> = rows.iter().map(|cells| format!("{cells:?}")).collect();
            rows.sort();
            rows
        };
        let names = self.tables().into_iter();
        names
            .map(|name| {
                let rows = rows_of(&name);
                (name, rows)
            })
            .collect()
    }

    /// Returns the select list of all columns of a table; binary columns as hex.
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

    /// Waits until every committed event and audit entry has a sequence number; on SQLite it always has.
    pub(crate) fn wait_for_event_numbers(&self) {
        let unsequenced = "SELECT (SELECT count(*) FROM fresh_events)
                               + (SELECT count(*) FROM unsequenced_audit)";
        while self.number(unsequenced) > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Asserts that all invariants hold.
    pub(crate) fn assert_invariants(&self) {
        self.wait_for_event_numbers();
        let more = match self {
            RawDb::Sqlite(_) => SQLITE_INVARIANTS,
            RawDb::Postgres(_) => &[],
        };
        for (invariant, violations) in INVARIANTS.iter().chain(more) {
            assert_eq!(self.number(violations), 0, "violated: {invariant}");
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

fn to_text(value: ValueRef<'_>) -> Option<String> {
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
        RawDb::open(self.directory.path(), self.database.as_deref())
    }
}
