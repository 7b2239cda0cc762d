//! The baseline on `SQLite`: the shop's statements in a loop on one thread, without HTTP, one durable commit per write.

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use shop::infra::db::placeholders;

use crate::support::Rng;

pub(crate) struct SqliteBaseline {
    connection: rusqlite::Connection,
    sessions: Vec<Vec<u8>>,
    users: Vec<Vec<u8>>,
    products: Vec<Vec<u8>>,
    rng: Rng,
    orders: u64,
}

/// A row of [`CART_LINES`].
struct Line {
    product: Vec<u8>,
    name: String,
    price: i64,
    quantity: i64,
}

impl SqliteBaseline {
    pub(crate) fn open(path: &Path) -> SqliteBaseline {
        let connection = rusqlite::Connection::open(path).expect("the copy opens");
        connection
            .set_db_config(
                rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG,
                true,
            )
            .expect("a setting");
        connection
            .execute_batch(
                "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA foreign_keys = on;
                 PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000;",
            )
            .expect("the settings");
        connection.set_prepared_statement_cache_capacity(64);
        let ids = |sql: &str| -> Vec<Vec<u8>> {
            let mut statement = connection.prepare(sql).expect("a statement");
            let rows = statement.query_map([], |row| row.get(0)).expect("rows");
            rows.collect::<Result<_, _>>().expect("ids")
        };
        let users = ids("SELECT id FROM users WHERE role = 'CUSTOMER'");
        let products = ids("SELECT id FROM products");
        // One session per user, with the id of the user.
        for (number, user) in users.iter().enumerate() {
            connection
                .execute(
                    "INSERT INTO sessions VALUES (?1, ?2, ?3, 0, 9000000000000, 0)",
                    (user, user, number.to_be_bytes()),
                )
                .expect("a session");
        }
        SqliteBaseline {
            sessions: users.clone(),
            users,
            products,
            connection,
            rng: Rng(42),
            orders: 0,
        }
    }

    /// Runs units for `duration`. Returns units per second.
    pub(crate) fn run(&mut self, duration: Duration) -> f64 {
        let started = Instant::now();
        let mut units = 0_u32;
        while started.elapsed() < duration {
            let user = self.rng.below(self.users.len());
            for _ in 0..3 {
                self.add_to_cart(user).expect("a cart write");
            }
            self.place_order(user).expect("an order");
            units += 1;
        }
        f64::from(units) / started.elapsed().as_secs_f64()
    }

    fn add_to_cart(&mut self, user: usize) -> rusqlite::Result<()> {
        let product = &self.products[self.rng.below(self.products.len())];
        let c = &self.connection;
        c.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.check_session(user)?;
        let mut quantity = 1_i64;
        let mut lines = c.prepare_cached(CART_LINES)?;
        let mut rows = lines.query([&self.users[user]])?;
        let mut is_empty = true;
        while let Some(row) = rows.next()? {
            is_empty = false;
            if row.get_ref(0)?.as_blob()? == product.as_slice() {
                quantity += row.get::<_, i64>(4)?;
            }
        }
        drop(rows);
        c.prepare_cached(PRODUCT)?
            .query_row([product], |_| Ok(()))?;
        if is_empty {
            c.prepare_cached(INSERT_CART)?
                .execute((&self.users[user], &self.users[user], 1))?;
        }
        c.prepare_cached(UPSERT_CART_LINE)?
            .execute((&self.users[user], product, quantity, 1))?;
        c.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn place_order(&mut self, user: usize) -> rusqlite::Result<()> {
        self.orders += 1;
        let key = self.rng.hex_key();
        let id = self.orders.to_be_bytes();
        let number = format!("{:08}", self.orders);
        let c = &self.connection;
        c.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.check_session(user)?;
        let is_repeat =
            c.prepare_cached(IDEMPOTENCY_KEY)?
                .exists((&self.users[user], ROUTE, &key, 0))?;
        assert!(!is_repeat, "the keys are unique");
        let lines: Vec<Line> = c
            .prepare_cached(CART_LINES)?
            .query_map([&self.users[user]], |row| {
                Ok(Line {
                    product: row.get(0)?,
                    name: row.get(1)?,
                    price: row.get(2)?,
                    quantity: row.get(4)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let total: i64 = lines.iter().map(|line| line.price * line.quantity).sum();
        c.prepare_cached(INSERT_ORDER)?.execute((
            &id,
            &number,
            &self.users[user],
            "PENDING",
            total,
            1,
        ))?;
        let positions: Vec<i64> = (0..).zip(&lines).map(|(position, _)| position).collect();
        let mut items: Vec<&dyn rusqlite::ToSql> = Vec::new();
        for (line, position) in lines.iter().zip(&positions) {
            items.extend([
                &id as &dyn rusqlite::ToSql,
                position,
                &line.product,
                &line.product,
                &None::<String>,
                &"[]",
                &line.name,
                &line.price,
                &line.quantity,
            ]);
        }
        c.prepare_cached(&format!("{INSERT_ITEMS} {}", placeholders(9, lines.len())))?
            .execute(items.as_slice())?;
        let provider_order = format!("order_{:014}", self.orders);
        c.prepare_cached(INSERT_PAYMENT)?.execute((
            &id,
            &id,
            "mock",
            &provider_order,
            "CREATED",
            total,
            1,
        ))?;
        c.prepare_cached("DELETE FROM cart_lines WHERE cart_id = ?1")?
            .execute([&self.users[user]])?;
        self.take_stock(id, &lines)?;
        self.queue_email(user, id, &number, &lines, total)?;
        self.store_response(user, &key, id, &order_json(id, &number, &lines, total))?;
        c.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn check_session(&self, user: usize) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(SESSION)?
            .query_row((&self.sessions[user], 1, &self.users[user]), |_| Ok(()))
    }

    /// Reduces the stock, and writes the stock movements and the event.
    fn take_stock(&self, order: [u8; 8], lines: &[Line]) -> rusqlite::Result<()> {
        let c = &self.connection;
        let mut changes = String::from("[");
        let mut movements: Vec<Box<dyn rusqlite::ToSql>> = Vec::new();
        for (position, line) in lines.iter().enumerate() {
            let product = &line.product;
            c.prepare_cached(CHANGE_STOCK)?
                .execute((product, -line.quantity))?;
            let stock: i64 = c
                .prepare_cached(STOCK)?
                .query_row([product], |row| row.get(0))?;
            let mut movement = order.to_vec();
            movement.push(u8::try_from(position).expect("few lines"));
            movements.push(Box::new(movement));
            movements.push(Box::new(product.clone()));
            movements.push(Box::new(-line.quantity));
            movements.push(Box::new("order"));
            movements.push(Box::new(order));
            movements.push(Box::new(None::<String>));
            movements.push(Box::new(1));
            append(
                &mut changes,
                format_args!(
                    "{{\"id\":\"{}\",\"stockQuantity\":{stock}}},",
                    hex::encode(product)
                ),
            );
        }
        c.prepare_cached(&format!(
            "{INSERT_MOVEMENTS} {}",
            placeholders(7, lines.len())
        ))?
        .execute(rusqlite::params_from_iter(movements.iter()))?;
        c.prepare_cached(INSERT_EVENT)?.execute((1, &changes))?;
        Ok(())
    }

    fn queue_email(
        &self,
        user: usize,
        order: [u8; 8],
        number: &str,
        lines: &[Line],
        total: i64,
    ) -> rusqlite::Result<()> {
        let c = &self.connection;
        let (email, name): (String, String) = c
            .prepare_cached(ADDRESS)?
            .query_row([&self.users[user]], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut data = format!("{{\"name\":\"{name}\",\"number\":\"{number}\",\"items\":[");
        for line in lines {
            append(
                &mut data,
                format_args!(
                    "{{\"name\":\"{}\",\"quantity\":{},\"lineTotal\":{}}},",
                    line.name,
                    line.quantity,
                    line.price * line.quantity
                ),
            );
        }
        append(&mut data, format_args!("],\"total\":{total}}}"));
        c.prepare_cached(INSERT_EMAIL)?
            .execute((&order, &email, "order-placed", &data, 1))?;
        c.prepare_cached(INSERT_JOB)?
            .execute(("send-mail", &order, "", 1))?;
        Ok(())
    }

    /// Stores the response under the idempotency key.
    fn store_response(
        &self,
        user: usize,
        key: &str,
        order: [u8; 8],
        body: &str,
    ) -> rusqlite::Result<()> {
        let body_hash = Sha256::digest(b"");
        let headers = format!(
            "[[\"location\",\"/api/v1/orders/{:0>36}\"]]",
            hex::encode(order)
        );
        self.connection
            .prepare_cached(INSERT_IDEMPOTENCY_KEY)?
            .execute((
                &self.users[user],
                ROUTE,
                key,
                body_hash.as_slice(),
                201,
                &headers,
                body.as_bytes(),
                1,
            ))?;
        Ok(())
    }
}

/// Returns a response body with the fields of the shop's.
fn order_json(id: [u8; 8], number: &str, lines: &[Line], total: i64) -> String {
    let id = format!("{:0>36}", hex::encode(id));
    let mut json = format!(
        "{{\"id\":\"{id}\",\"number\":\"{number}\",\"userId\":\"{id}\",\"status\":\"PENDING\",\"items\":["
    );
    for line in lines {
        append(
            &mut json,
            format_args!(
                "{{\"id\":\"{id}\",\"variantId\":\"{0:0>36}\",\"productId\":\"{0:0>36}\",\"sku\":null,\"title\":\"\",\
                 \"options\":[],\"name\":\"{1}\",\"price\":{2},\"quantity\":{3},\"lineTotal\":{4}}},",
                hex::encode(&line.product),
                line.name,
                line.price,
                line.quantity,
                line.price * line.quantity
            ),
        );
    }
    append(
        &mut json,
        format_args!(
            "],\"totalAmount\":{total},\"currency\":\"INR\",\"payment\":{{\"id\":\"{id}\",\"provider\":\"mock\",\
             \"providerOrderId\":\"order_{number:0>14}\",\"status\":\"CREATED\",\"amount\":{total},\
             \"refundedAmount\":0,\"transactionId\":null,\"refunds\":[]}},\
             \"createdAt\":\"2026-01-01T00:00:00.000Z\",\"updatedAt\":\"2026-01-01T00:00:00.000Z\"}}"
        ),
    );
    json
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string can be written to");
}

const ROUTE: &str = "POST /api/v1/orders";

const SESSION: &str = "SELECT u.id, u.role FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = ?1 AND s.expires_at > ?2 AND u.id = ?3";
const CART_LINES: &str =
    "SELECT v.id, p.name, coalesce(v.price, p.price), coalesce(v.stock, p.stock),
        c.quantity, p.images, c.added_at, v.product_id, v.sku, v.options
    FROM cart_lines c JOIN variants v ON v.id = c.variant_id JOIN products p ON p.id = v.product_id
    WHERE c.cart_id = ?1 AND v.deleted_at IS NULL AND p.deleted_at IS NULL";
const PRODUCT: &str = "SELECT v.id, v.product_id, v.sku, v.options, p.name, coalesce(v.price, p.price),
        coalesce(v.stock, p.stock), p.images
    FROM variants v JOIN products p ON p.id = v.product_id
    WHERE v.product_id = ?1 AND v.deleted_at IS NULL AND p.deleted_at IS NULL ORDER BY v.position, v.id";
const INSERT_CART: &str = "INSERT INTO carts (id, user_id, created_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO NOTHING";
const UPSERT_CART_LINE: &str = "INSERT INTO cart_lines (cart_id, variant_id, quantity, added_at)
    VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = excluded.quantity";
const INSERT_ORDER: &str = "INSERT INTO orders
    (id, number, user_id, status, total, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (number) DO NOTHING";
const INSERT_ITEMS: &str = "INSERT INTO order_lines
    (order_id, position, variant_id, product_id, sku, name, options, price, quantity) VALUES";
const INSERT_PAYMENT: &str = "INSERT INTO payments (id, order_id, provider, provider_order_id,
    status, amount, transaction_id, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, ?7)";
const CHANGE_STOCK: &str = "UPDATE products SET stock = stock + ?2
    WHERE id = ?1 AND stock + ?2 >= 0 AND (?2 < 0 OR stock + ?2 <= 1000000000)
             AND deleted_at IS NULL";
const STOCK: &str = "SELECT stock FROM products WHERE id = ?1 AND deleted_at IS NULL";
const INSERT_MOVEMENTS: &str = "INSERT INTO stock_movements
    (id, product_id, delta, cause, order_id, note, at) VALUES";
const ADDRESS: &str = "SELECT email, name FROM users WHERE id = ?1";
const INSERT_EMAIL: &str = "INSERT INTO outbox (id, recipient, template, data, tries, created_at)
    VALUES (?1, ?2, ?3, ?4, 0, ?5)";
const INSERT_JOB: &str = "INSERT INTO jobs
    (kind, subject_id, payload, state, due_at, attempts, retrying_since)
    VALUES (?1, ?2, ?3, 'waiting', ?4, 0, ?4) ON CONFLICT (subject_id, kind) DO NOTHING";
const INSERT_EVENT: &str = "INSERT INTO events (seq, at, changes)
    VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM events), ?1, ?2)";
const IDEMPOTENCY_KEY: &str = "SELECT body_hash, status, headers, body FROM idempotency_answers
    WHERE owner_id = ?1 AND route = ?2 AND key = ?3 AND created_at > ?4";
const INSERT_IDEMPOTENCY_KEY: &str = "INSERT INTO idempotency_answers
    (owner_id, route, key, body_hash, status, headers, body, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (owner_id, route, key) DO UPDATE
    SET body_hash = excluded.body_hash, status = excluded.status,
        headers = excluded.headers, body = excluded.body, created_at = excluded.created_at";
