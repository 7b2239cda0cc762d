//! The limit on one file: the shop's own statements, each write with a durable commit of its own.

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use shop::infra::db::placeholders;

use crate::support::Dice;

/// The limit: the same statements, one thread, no HTTP, one durable commit for each write.
pub(crate) struct Bare {
    connection: rusqlite::Connection,
    sessions: Vec<Vec<u8>>,
    users: Vec<Vec<u8>>,
    products: Vec<Vec<u8>>,
    dice: Dice,
    next: u64,
}

impl Bare {
    pub(crate) fn open(path: &Path) -> Bare {
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
        // A session for each, as the shop has them.
        for (number, user) in users.iter().enumerate() {
            connection
                .execute(
                    "INSERT INTO sessions VALUES (?1, ?2, ?3, 0, 9000000000000, 0)",
                    (user, user, number.to_be_bytes()),
                )
                .expect("a session");
        }
        Bare {
            sessions: users.clone(),
            users,
            products,
            connection,
            dice: Dice(42),
            next: 0,
        }
    }

    pub(crate) fn rate(&mut self, span: Duration) -> f64 {
        let started = Instant::now();
        let mut units = 0_u32;
        while started.elapsed() < span {
            let who = self.dice.below(self.users.len());
            for _ in 0..3 {
                self.add_to_cart(who).expect("a cart write");
            }
            self.order(who).expect("an order");
            units += 1;
        }
        f64::from(units) / started.elapsed().as_secs_f64()
    }

    fn add_to_cart(&mut self, who: usize) -> rusqlite::Result<()> {
        let product = &self.products[self.dice.below(self.products.len())];
        let c = &self.connection;
        c.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        c.prepare_cached(VISITOR)?
            .query_row((&self.sessions[who], 1, &self.users[who]), |_| Ok(()))?;
        let mut held = 1_i64;
        let mut lines = c.prepare_cached(LINES)?;
        let mut rows = lines.query([&self.users[who]])?;
        while let Some(row) = rows.next()? {
            if row.get_ref(0)?.as_blob()? == product.as_slice() {
                held += row.get::<_, i64>(4)?;
            }
        }
        drop(rows);
        c.prepare_cached(PRODUCT)?
            .query_row([product], |_| Ok(()))?;
        c.prepare_cached(PUT)?
            .execute((&self.users[who], product, held, 1))?;
        c.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn order(&mut self, who: usize) -> rusqlite::Result<()> {
        self.next += 1;
        let id = self.next.to_be_bytes();
        let c = &self.connection;
        c.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        c.prepare_cached(VISITOR)?
            .query_row((&self.sessions[who], 1, &self.users[who]), |_| Ok(()))?;
        let lines: Vec<(Vec<u8>, String, i64, i64)> = c
            .prepare_cached(LINES)?
            .query_map([&self.users[who]], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(4)?))
            })?
            .collect::<Result<_, _>>()?;
        let total: i64 = lines
            .iter()
            .map(|(_, _, price, quantity)| price * quantity)
            .sum();
        let number = format!("{:08}", self.next);
        c.prepare_cached(ORDER)?
            .execute((&id, &number, &self.users[who], "PENDING", total, 1))?;
        let mut items: Vec<&dyn rusqlite::ToSql> = Vec::new();
        for (product, name, price, quantity) in &lines {
            items.extend([&id as &dyn rusqlite::ToSql, product, name, price, quantity]);
        }
        c.prepare_cached(&format!("{ITEMS} {}", placeholders(5, lines.len())))?
            .execute(items.as_slice())?;
        let provider_order = format!("order_{:014}", self.next);
        c.prepare_cached(PAYMENT)?.execute((
            &id,
            &id,
            "mock",
            &provider_order,
            "CREATED",
            total,
            1,
        ))?;
        c.prepare_cached("DELETE FROM cart_items WHERE user_id = ?1")?
            .execute([&self.users[who]])?;
        let mut changes = String::from("[");
        let mut movements: Vec<Box<dyn rusqlite::ToSql>> = Vec::new();
        for (line, (product, _, _, quantity)) in lines.iter().enumerate() {
            c.prepare_cached(TAKE)?.execute((product, -quantity))?;
            let stock: i64 = c
                .prepare_cached(STOCK)?
                .query_row([product], |row| row.get(0))?;
            let mut movement = id.to_vec();
            movement.push(u8::try_from(line).expect("few lines"));
            movements.push(Box::new(movement));
            movements.push(Box::new(product.clone()));
            movements.push(Box::new(-quantity));
            movements.push(Box::new("order"));
            movements.push(Box::new(id));
            movements.push(Box::new(None::<String>));
            movements.push(Box::new(1));
            let product = hex::encode(product);
            write!(
                changes,
                "{{\"id\":\"{product}\",\"stockQuantity\":{stock}}},"
            )
            .expect("a text takes it");
        }
        c.prepare_cached(&format!("{MOVEMENTS} {}", placeholders(7, lines.len())))?
            .execute(rusqlite::params_from_iter(movements.iter()))?;
        c.prepare_cached(EVENT)?.execute((1, &changes))?;
        let (email, name): (String, String) = c
            .prepare_cached(ADDRESS)?
            .query_row([&self.users[who]], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut letter = format!("{{\"name\":\"{name}\",\"number\":\"{number}\",\"items\":[");
        for (_, name, price, quantity) in &lines {
            let sum = price * quantity;
            write!(
                letter,
                "{{\"name\":\"{name}\",\"quantity\":{quantity},\"lineTotal\":{sum}}},"
            )
            .expect("a text takes it");
        }
        write!(letter, "],\"total\":{total}}}").expect("a text takes it");
        c.prepare_cached(LETTER)?
            .execute((&id, &email, "order-placed", &letter, 1))?;
        c.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

const VISITOR: &str = "SELECT u.id, u.role FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = ?1 AND s.expires_at > ?2 AND u.id = ?3";
const LINES: &str = "SELECT p.id, p.name, p.price, p.stock, c.quantity, p.images, c.added_at
    FROM cart_items c JOIN products p ON p.id = c.product_id
    WHERE c.user_id = ?1 AND p.deleted_at IS NULL";
const PRODUCT: &str =
    "SELECT name, price, stock, images FROM products WHERE id = ?1 AND deleted_at IS NULL";
const PUT: &str = "INSERT INTO cart_items (user_id, product_id, quantity, added_at)
    VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = excluded.quantity";
const ORDER: &str = "INSERT INTO orders
    (id, number, user_id, status, total, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (number) DO NOTHING";
const ITEMS: &str = "INSERT INTO order_items (order_id, product_id, name, price, quantity) VALUES";
const PAYMENT: &str = "INSERT INTO payments (id, order_id, provider, provider_order_id, status,
    amount, transaction_id, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, ?7)";
const TAKE: &str = "UPDATE products SET stock = stock + ?2
    WHERE id = ?1 AND stock + ?2 >= 0 AND (?2 < 0 OR stock + ?2 <= 1000000000)
             AND deleted_at IS NULL";
const STOCK: &str = "SELECT stock FROM products WHERE id = ?1 AND deleted_at IS NULL";
const MOVEMENTS: &str = "INSERT INTO stock_movements
    (id, product_id, delta, cause, order_id, note, at) VALUES";
const ADDRESS: &str = "SELECT email, name FROM users WHERE id = ?1";
const LETTER: &str = "INSERT INTO outbox
    (id, recipient, template, data, state, tries, since, due_at, created_at)
    VALUES (?1, ?2, ?3, ?4, 'waiting', 0, ?5, ?5, ?5)";
const EVENT: &str = "INSERT INTO events (seq, at, changes)
    VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM events), ?1, ?2)";
