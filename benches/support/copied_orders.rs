//! Many orders, copied from few.

use std::path::Path;

/// The tables whose rows are copied, each with the ids and the texts that identify a row and its order.
const COPIED: [(&str, &[&str], &[&str]); 4] = [
    ("orders", &["id"], &["number"]),
    ("order_lines", &["order_id"], &[]),
    (
        "payments",
        &["order_id", "id"],
        &["provider_order_id", "transaction_id"],
    ),
    (
        "payment_events",
        &["id", "event_key", "order_id"],
        &["event_id", "provider_order_id", "provider_payment_id"],
    ),
];

/// Inserts `count` copies of each order. Placing as many would take hours.
pub(crate) fn copy_orders(path: &Path, count: i64) {
    let connection = rusqlite::Connection::open(path).expect("the file opens");
    connection
        .execute_batch(
            "PRAGMA synchronous = off; PRAGMA foreign_keys = off; PRAGMA cache_size = -262144;
             PRAGMA temp_store = memory;",
        )
        .expect("the settings");
    let copies = "CREATE TEMP TABLE copies AS WITH RECURSIVE numbers (copy) AS
        (SELECT 1 UNION ALL SELECT copy + 1 FROM numbers WHERE copy < ?1) SELECT copy FROM numbers";
    connection
        .execute(copies, [count])
        .expect("the numbers of the copies");
    for (table, ids, texts) in COPIED {
        let sql = format!("CREATE TEMP TABLE seeded_{table} AS SELECT * FROM {table}");
        connection.execute(&sql, []).expect("a copy of the table");
        let sql = copy_statement(&connection, table, ids, texts);
        let rows = connection.execute(&sql, []).expect("copies");
        assert!(rows > 0, "`{table}` has no rows");
    }
}

/// Returns the statement that inserts all copies of the seeded rows: row by row, since the copies of a row are beside
/// each other in the indexes. Ids keep their beginning, which is the time.
fn copy_statement(
    connection: &rusqlite::Connection,
    table: &str,
    ids: &[&str],
    texts: &[&str],
) -> String {
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .and_then(|mut names| names.query_map([table], |row| row.get(0))?.collect())
        .expect("the columns");
    let values: Vec<String> = columns
        .iter()
        .map(|column| match column.as_str() {
            id if ids.contains(&id) => {
                format!("unhex(substr(hex({id}), 1, 2 * length({id}) - 8) || printf('%08x', copy))")
            }
            text if texts.contains(&text) => format!("{text} || '.' || copy"),
            // Hexadecimal digits shrink by a half, as the rows of a real shop do.
            "body" => "CAST(hex(randomblob(length(body) / 2)) AS BLOB)".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    format!(
        "INSERT INTO {table} ({}) SELECT {} FROM seeded_{table} CROSS JOIN copies",
        columns.join(", "),
        values.join(", ")
    )
}
