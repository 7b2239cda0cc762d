//! The rows of a shop that has run since the first version of the schema.

use std::fs;

use shop::infra::db::migrate;
use uuid::Uuid;

use crate::support::{EarlierShop, RawDb};

/// The rows that each version has added, in the schema of that version. `{1}` is the id with that number, and `{#1}` are
/// 32 bytes.
const ADDED: &[(u32, &str)] = &[
    (
        1,
        "INSERT INTO users (id, email, email_key, password_hash, name, role, email_verified, phone_verified, created_at)
         VALUES ({1}, 'ada@example.com', 'ada@example.com', '-', 'Ada', 'CUSTOMER', 1, 0, 1000),
             ({2}, 'boss@example.com', 'boss@example.com', '-', 'Boss', 'ADMIN', 1, 0, 1000);
         INSERT INTO sessions (id, user_id, refresh_hash, created_at, expires_at)
         VALUES ({3}, {1}, {#1}, 1000, 4000000000000)",
    ),
    (
        2,
        "INSERT INTO categories (id, name, name_key, slug, product_count)
         VALUES ({4}, 'Kitchen', 'kitchen', 'kitchen', 1);
         INSERT INTO products (id, stock, price, category_id, created_at, updated_at, images, name, name_key, slug,
                               description)
         VALUES ({5}, 10, 500, {4}, 1000, 1000,
             '[{\"id\":\"{image}\",\"key\":\"{image}.png\",\"width\":1,\"height\":1,\"contentType\":\"image/png\"}]',
             'Kettle', 'kettle', 'kettle', 'It boils water.');
         INSERT INTO product_images (id, product_id, position, image_key, content_type, width, height)
         VALUES ({6}, {5}, 0, '{image}.png', 'image/png', 1, 1);
         INSERT INTO stock_movements (id, product_id, delta, cause, at) VALUES ({7}, {5}, 10, 'create', 1000);
         UPDATE kept_counts SET value = 1 WHERE name = 'products'",
    ),
    (
        3,
        "INSERT INTO cart_items (user_id, product_id, quantity, added_at) VALUES ({1}, {5}, 3, 1000)",
    ),
    (
        5,
        "INSERT INTO orders (id, number, user_id, status, total, created_at, updated_at)
         VALUES ({8}, '7K3M9QXD', {1}, 'PAID', 1000, 1000, 1000);
         INSERT INTO order_items (order_id, product_id, name, price, quantity) VALUES ({8}, {5}, 'Kettle', 500, 2);
         INSERT INTO payments (order_id, id, provider, provider_order_id, status, amount, transaction_id, created_at,
                               updated_at)
         VALUES ({8}, {9}, 'mock', 'order_1', 'CAPTURED', 1000, 'pay_1', 1000, 1000);
         INSERT INTO payment_events (id, event_key, event_id, event, order_id, provider_payment_id, amount, outcome,
                                     body, received_at)
         VALUES ({10}, {#2}, 'ev_1', 'payment.captured', {8}, 'pay_1', 1000, 'captured', {#3}, 1000);
         INSERT INTO stock_movements (id, product_id, delta, cause, order_id, at)
         VALUES ({11}, {5}, -2, 'order', {8}, 1000);
         UPDATE products SET stock = 8",
    ),
    (
        6,
        "INSERT INTO events (seq, at, changes) VALUES (1, 1000, '[]');
         INSERT INTO idempotency_keys (user_id, route, key, body_hash, status, headers, body, created_at)
         VALUES ({1}, 'POST /orders', 'the-key', {#4}, 201, '[]', {#5}, 1000);
         INSERT INTO settings (name, value) VALUES ('currency', 'INR')",
    ),
    (
        7,
        "INSERT INTO timers (name, ran_at) VALUES ('cleanup', 1000)",
    ),
    (
        8,
        "INSERT INTO login_tries (address, since, wrong) VALUES ({#6}, 1000, 1)",
    ),
    (
        9,
        "INSERT INTO spent_refresh_tokens (hash, session_id, generation, spent_at) VALUES ({#7}, {3}, 0, 1000);
         INSERT INTO link_tokens (hash, user_id, purpose, expires_at) VALUES ({#8}, {2}, 'reset', 4000000000000);
         INSERT INTO phone_codes (user_id, hash, salt, tries, expires_at)
         VALUES ({1}, {#9}, {#10}, 0, 4000000000000);
         INSERT INTO outbox (id, recipient, template, data, state, tries, since, due_at, created_at)
         VALUES ({12}, 'ada@example.com', 'password-changed', '{\"name\":\"Ada\"}', 'waiting', 0, 0, 0, 1000)",
    ),
    (
        10,
        "INSERT INTO image_removals (image_id, due_at, tries) VALUES ({13}, 4000000000000, 0)",
    ),
    (
        13,
        "INSERT INTO refunds (id, order_id, amount, status, cause, restock, provider_refund_id, tries, created_at,
                              updated_at)
         VALUES ({14}, {8}, 100, 'PROCESSED', 'admin', 0, 'rfnd_1', 1, 1000, 1000);
         INSERT INTO mock_payments (id, provider_order_id, amount, currency, status, created_at)
         VALUES ('pay_1', 'order_1', 1000, 'INR', 'captured', 1000)",
    ),
    (
        16,
        "INSERT INTO known_networks (user_id, network, seen_at) VALUES ({1}, {#11}, 1000)",
    ),
    (
        18,
        "INSERT INTO imported_sheets (digest, imported_at) VALUES ({#12}, 1000)",
    ),
];

/// What is compared: the version that has it first, and a query.
const KEPT: &[(u32, &str)] = &[
    (1, "SELECT email, name, role FROM users"),
    (1, "SELECT created_at, expires_at FROM sessions"),
    (2, "SELECT name, slug, product_count FROM categories"),
    (2, "SELECT name, description, price, stock FROM products"),
    (2, "SELECT image_key, width FROM product_images"),
    (2, "SELECT delta, cause FROM stock_movements"),
    (2, "SELECT value FROM kept_counts WHERE name = 'products'"),
    (3, "SELECT quantity, added_at FROM cart_lines"),
    (5, "SELECT number, status, total FROM orders"),
    (5, "SELECT name, price, quantity FROM order_lines"),
    (
        5,
        "SELECT provider, status, amount, transaction_id FROM payments",
    ),
    (
        5,
        "SELECT event_id, event, amount, outcome, provider_payment_id FROM payment_events",
    ),
    (6, "SELECT route, key, status FROM idempotency_answers"),
    (6, "SELECT value FROM settings WHERE name = 'currency'"),
    (7, "SELECT ran_at FROM timers WHERE name = 'cleanup'"),
    (8, "SELECT since, wrong FROM login_tries"),
    (9, "SELECT spent_at FROM spent_refresh_tokens"),
    (9, "SELECT purpose, expires_at FROM link_tokens"),
    (9, "SELECT tries, expires_at FROM phone_codes"),
    (9, "SELECT recipient, template, data FROM outbox"),
    (13, "SELECT amount, status, cause FROM refunds"),
    (13, "SELECT id, amount, status FROM mock_payments"),
    (16, "SELECT seen_at FROM known_networks"),
    (18, "SELECT imported_at FROM imported_sheets"),
];

/// Runs all migrations up to a version, each on the rows that the versions before have left.
pub(super) fn live_through(shop: &EarlierShop, version: u32) {
    for step in 1..=version {
        shop.migrate_to(step.try_into().unwrap());
        if let Some((_, sql)) = ADDED.iter().find(|(since, _)| *since == step) {
            add(&shop.raw_db(), sql);
        }
    }
    let images = shop.path().join("images");
    fs::create_dir_all(&images).unwrap();
    fs::write(images.join(format!("{}.png", id(6))), "an image").unwrap();
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn add(raw: &RawDb, sql: &str) {
    let mut sql = sql.replace("{image}", &id(6).to_string());
    for number in 1..=14 {
        let bytes = raw.bytes(&[number; 32]);
        sql = sql.replace(&format!("{{#{number}}}"), &bytes);
        sql = sql.replace(&format!("{{{number}}}"), &raw.id(id(number.into())));
    }
    raw.run(&sql);
}

/// Tables that a later version renamed: the name now, and before.
const RENAMED: [(&str, &str); 3] = [
    ("cart_lines", "cart_items"),
    ("order_lines", "order_items"),
    ("idempotency_answers", "idempotency_keys"),
];

/// Returns the rows of a shop that began at a version or was migrated from it, by query.
pub(super) fn kept(raw: &RawDb, version: u32) -> Vec<(&'static str, Vec<String>)> {
    let queries = KEPT.iter().filter(|(since, _)| *since <= version);
    let tables = raw.tables();
    let kept = queries.map(|(_, sql)| {
        let mut query = (*sql).to_owned();
        for (now, before) in RENAMED {
            if tables.iter().any(|table| table == before) {
                query = query.replace(now, before);
            }
        }
        let mut rows: Vec<_> = raw
            .rows(&query)
            .iter()
            .map(|cells| format!("{cells:?}"))
            .collect();
        rows.sort();
        assert!(!rows.is_empty(), "{sql}");
        (*sql, rows)
    });
    kept.collect()
}

/// The version before the current one.
pub(super) fn previous() -> u32 {
    migrate::latest_version() - 1
}
