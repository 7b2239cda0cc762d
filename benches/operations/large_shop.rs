//! A shop whose database and images have a given size.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    files::{files_in, total_size},
    support::{
        Rng,
        checkout::{fill_stock, seed},
    },
};

pub(crate) const CUSTOMERS: usize = 64;

/// Orders that the program itself creates. The others are copies.
const ORDERS: usize = 1000;

/// About how many bytes a copy of all of them takes in the database.
const BYTES_PER_COPY: i64 = 1_350_000;

/// The size of an image in bytes: about that of a photo of 1600 pixels.
const IMAGE_SIZE: usize = 200_000;

/// The tables whose rows are copied, each with the ids and the texts that identify a row and its order.
const COPIED: [(&str, &[&str], &[&str]); 4] = [
    ("orders", &["id"], &["number"]),
    ("order_items", &["order_id"], &[]),
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

pub(crate) struct LargeShop {
    pub(crate) home: PathBuf,
    pub(crate) password: String,
}

impl LargeShop {
    /// Creates a shop. Half of its size is the database, and half are images.
    pub(crate) fn create(home: &Path, megabytes: i64) -> LargeShop {
        let half = megabytes * 1_000_000 / 2;
        let password = seed(home, 10_000, CUSTOMERS, ORDERS, &[]);
        let shop = LargeShop {
            home: home.to_owned(),
            password,
        };
        copy_orders(&shop.database(), half);
        fill_stock(&shop.database());
        add_images(&shop, half);
        let files = shop.files();
        println!(
            "a shop of {} MB: the database has {} MB, and {} images the rest",
            total_size(&files) / 1_000_000,
            total_size(&[shop.database()]) / 1_000_000,
            files.len() - 1,
        );
        shop
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home.join("shop.db")
    }

    /// Returns the database and the images.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.database()];
        files.extend(files_in(&self.home.join("images")));
        files
    }
}

/// Copies the orders until the database has about this size. Placing as many would take hours.
fn copy_orders(path: &Path, size: i64) {
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
        .execute(copies, [size / BYTES_PER_COPY])
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

/// Adds files of random bytes, which shrink as little as a photo, as images of one product.
fn add_images(shop: &LargeShop, size: i64) {
    let connection = rusqlite::Connection::open(shop.database()).expect("the file opens");
    let mut rng = Rng(7);
    let mut left = size;
    connection.execute("BEGIN", []).expect("a transaction");
    while left > 0 {
        let id = rng.hex_key();
        let name = format!("{id}.jpg");
        connection
            .prepare_cached(
                "INSERT INTO product_images (id, product_id, position, image_key, content_type, width, height)
                 SELECT unhex(?1), min(id), ?2, ?3, 'image/jpeg', 1600, 1200 FROM products",
            )
            .and_then(|mut insert| insert.execute((&id, left, &name)))
            .expect("an image");
        let image = rng.bytes(IMAGE_SIZE);
        fs::write(shop.home.join("images").join(name), &image).expect("a file");
        left -= i64::try_from(image.len()).expect("a size");
    }
    connection.execute("COMMIT", []).expect("a commit");
}
