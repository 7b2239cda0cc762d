//! The baseline on Postgres: `pgbench` with the same statements, prepared, on a copy of the shop's database on the
//! same server, with the default durability.

use std::{io::Write, path::Path, process::Command, time::Duration};

use postgres::{Client, NoTls};

use self::cluster::Cluster;

#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "this module belongs to the tests, which use the rest"
)]
#[path = "../../tests/support/cluster.rs"]
mod cluster;

/// What a unit writes, without what the shop reads: three cart writes, each a transaction of its own, and the
/// transaction of the order. Each statement processes all lines, and reads them from the tables, so that none
/// depends on the result of another.
const WRITES: &str = "{add :p1}
{add :p2}
{add :p3}
BEGIN;
{key}
{lines} ORDER BY p.id FOR NO KEY UPDATE OF p;
{order}
END;
";

/// Every statement of the shop, one per round trip: each request authenticates and locks its customer, and reads
/// what it validates.
const ALL_STATEMENTS: &str = "BEGIN;
{authenticate}
{product :p1}
{lines} ORDER BY c.product_id;
{put}
COMMIT;
BEGIN;
{authenticate}
{product :p2}
{lines} ORDER BY c.product_id;
{put}
COMMIT;
BEGIN;
{authenticate}
{product :p3}
{lines} ORDER BY c.product_id;
{put}
COMMIT;
BEGIN;
{authenticate}
{key}
SELECT email, name FROM users WHERE id = :me::uuid;
SELECT id FROM orders WHERE number = md5(:key::text);
{lines} ORDER BY p.id FOR NO KEY UPDATE OF p;
{order}
END;
";

/// Sets the variables of a unit. A client reads its customer once: `known` is 0 at its start.
const VARIABLES: &str = "\\if :known
\\else
SELECT id AS me, session FROM bench_customers WHERE n = :client_id + 1 \\gset
\\set known 1
\\endif
\\set p1 random(1, 10000)
\\set p2 random(1, 10000)
\\set p3 random(1, 10000)
\\set key random(1, 9223372036854775807)
";

/// The placeholders of the scripts, and their statements.
const STATEMENTS: [(&str, &str); 5] = [
    (
        "{authenticate}",
        "SELECT u.id, u.role FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.id = :session::uuid AND s.expires_at > 1 AND u.id = :me::uuid
         FOR NO KEY UPDATE OF u, s;",
    ),
    (
        "{lines}",
        "SELECT v.id, v.product_id, v.sku, v.options, p.name, coalesce(v.price, p.price),
             coalesce(v.stock, p.stock), p.images, c.quantity, c.added_at
         FROM cart_lines c JOIN variants v ON v.id = c.variant_id JOIN products p ON p.id = v.product_id
         WHERE v.deleted_at IS NULL AND p.deleted_at IS NULL AND c.cart_id = :me::uuid",
    ),
    (
        "{key}",
        "SELECT body_hash, status, headers, body FROM idempotency_answers
         WHERE owner_id = :me::uuid AND route = 'POST /api/v1/orders' AND key = :key::text
             AND created_at > 0;",
    ),
    (
        "{put}",
        "INSERT INTO carts (id, user_id, created_at) VALUES (:me::uuid, :me::uuid, 1)
         ON CONFLICT (id) DO NOTHING;
         INSERT INTO cart_lines (cart_id, variant_id, quantity, added_at)
         VALUES (:me::uuid, :product::uuid, 1, 1)
         ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = cart_lines.quantity + 1;",
    ),
    ("{order}", ORDER),
];

/// Names in braces that take a product, and their statements.
const PRODUCT_STATEMENTS: [(&str, &str); 2] = [
    (
        "{product ",
        "SELECT p.id AS product, v.sku, v.options, p.name, coalesce(v.price, p.price) AS price,
             coalesce(v.stock, p.stock) AS stock, p.images
         FROM products p JOIN bench_products b ON b.id = p.id JOIN variants v ON v.product_id = p.id
         WHERE b.n = {p} AND v.deleted_at IS NULL AND p.deleted_at IS NULL \\gset",
    ),
    (
        "{add ",
        "INSERT INTO carts (id, user_id, created_at) VALUES (:me::uuid, :me::uuid, 1)
         ON CONFLICT (id) DO NOTHING;
         INSERT INTO cart_lines (cart_id, variant_id, quantity, added_at)
         SELECT :me::uuid, p.id, 1, 1 FROM bench_products p WHERE p.n = {p}
         ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = cart_lines.quantity + 1;",
    ),
];

const ORDER: &str = "INSERT INTO orders (id, number, user_id, status, total, created_at, updated_at)
    SELECT gen_random_uuid(), gen_random_uuid()::text, c.cart_id, 'PENDING',
           sum(p.price * c.quantity), 1, 1
    FROM cart_lines c JOIN products p ON p.id = c.variant_id
    WHERE c.cart_id = :me::uuid GROUP BY c.cart_id RETURNING id AS order_id, total \\gset
INSERT INTO order_lines (order_id, position, variant_id, product_id, sku, name, options, price, quantity)
    SELECT :order_id::uuid, row_number() OVER () - 1, p.id, p.id, NULL, p.name, '[]', p.price, c.quantity
    FROM cart_lines c JOIN products p ON p.id = c.variant_id WHERE c.cart_id = :me::uuid;
INSERT INTO payments (id, order_id, provider, provider_order_id, status, amount, transaction_id,
                      created_at, updated_at)
    VALUES (gen_random_uuid(), :order_id::uuid, 'mock', gen_random_uuid()::text, 'CREATED',
            :total::bigint, NULL, 1, 1);
UPDATE products p SET stock = p.stock - c.quantity FROM cart_lines c
    WHERE c.cart_id = :me::uuid AND p.id = c.variant_id;
INSERT INTO stock_movements (id, product_id, delta, cause, order_id, note, at)
    SELECT gen_random_uuid(), c.variant_id, -c.quantity, 'order', :order_id::uuid, NULL, 1
    FROM cart_lines c WHERE c.cart_id = :me::uuid;
INSERT INTO fresh_events (at, changes)
    SELECT 1, json_agg(json_build_object('id', p.id, 'stockQuantity', p.stock))::text
    FROM cart_lines c JOIN products p ON p.id = c.variant_id WHERE c.cart_id = :me::uuid;
INSERT INTO outbox (id, recipient, template, data, tries, created_at)
    SELECT :order_id::uuid, u.email, 'order-placed',
           json_build_object('name', u.name, 'number', :order_id::text, 'items',
               (SELECT json_agg(json_build_object('name', p.name, 'quantity', c.quantity,
                                                  'lineTotal', p.price * c.quantity))
                FROM cart_lines c JOIN products p ON p.id = c.variant_id WHERE c.cart_id = :me::uuid),
               'total', :total::bigint)::text,
           0, 1
    FROM users u WHERE u.id = :me::uuid;
INSERT INTO jobs (kind, subject_id, payload, state, due_at, attempts, retrying_since)
    VALUES ('send-mail', :order_id::uuid, '', 'waiting', 1, 0, 1)
    ON CONFLICT (subject_id, kind) DO NOTHING;
DELETE FROM cart_lines WHERE cart_id = :me::uuid;
INSERT INTO idempotency_answers (owner_id, route, key, body_hash, status, headers, body, created_at)
    SELECT :me::uuid, 'POST /api/v1/orders', :key::text, sha256(''), 201,
           json_build_array(json_build_array('location', '/api/v1/orders/' || o.id::text))::text,
           convert_to(json_build_object('id', o.id, 'number', o.number, 'userId', o.user_id,
               'status', o.status, 'items',
               (SELECT json_agg(json_build_object('id', i.order_id, 'variantId', i.variant_id,
                                                  'productId', i.product_id, 'sku', i.sku, 'title', '',
                                                  'options', i.options::json, 'name', i.name,
                                                  'price', i.price, 'quantity', i.quantity,
                                                  'lineTotal', i.price * i.quantity))
                FROM order_lines i WHERE i.order_id = o.id),
               'totalAmount', o.total, 'currency', 'INR', 'payment',
               json_build_object('id', p.id, 'provider', p.provider,
                                 'providerOrderId', p.provider_order_id, 'status', p.status,
                                 'amount', p.amount, 'refundedAmount', 0,
                                 'transactionId', p.transaction_id, 'refunds', json_build_array()),
               'createdAt', o.created_at, 'updatedAt', o.updated_at)::text, 'UTF8'), 1
    FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.id = :order_id::uuid
    ON CONFLICT (user_id, route, key) DO UPDATE
    SET body_hash = excluded.body_hash, status = excluded.status, headers = excluded.headers,
        body = excluded.body, created_at = excluded.created_at;";

/// Returns a script for pgbench.
fn script(unit: &str) -> String {
    let mut text = format!("{VARIABLES}{unit}");
    for (name, statement) in STATEMENTS {
        text = text.replace(name, statement);
    }
    for (name, statement) in PRODUCT_STATEMENTS {
        for product in [":p1", ":p2", ":p3"] {
            text = text.replace(
                &format!("{name}{product}}}"),
                &statement.replace("{p}", product),
            );
        }
    }
    text
}

/// What pgbench runs.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Writes,
    AllStatements,
}

pub(crate) struct Pgbench {
    cluster: Cluster,
    writes: tempfile::NamedTempFile,
    all_statements: tempfile::NamedTempFile,
}

impl Pgbench {
    /// Starts a Postgres server with an empty database for the shop.
    pub(crate) fn start() -> Pgbench {
        let cluster = Cluster::make(Some(Path::new("/var/tmp")), &[]).expect("a server");
        let file = |unit| {
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            file.write_all(script(unit).as_bytes())
                .expect("a file can be written to");
            file
        };
        let pgbench = Pgbench {
            cluster,
            writes: file(WRITES),
            all_statements: file(ALL_STATEMENTS),
        };
        pgbench.execute("postgres", "CREATE DATABASE shop");
        pgbench
    }

    pub(crate) fn url(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// Sets the stock so high that no product sells out, and copies the database for the baseline.
    pub(crate) fn fill_stock_and_copy(&self) {
        self.execute("shop", "UPDATE products SET stock = 1000000");
        self.execute("postgres", "CREATE DATABASE baseline TEMPLATE shop");
        self.execute(
            "baseline",
            "INSERT INTO sessions (id, user_id, refresh_hash, created_at, expires_at, generation)
                 SELECT gen_random_uuid(), id, sha256(id::text::bytea), 1, 9000000000000, 0 FROM users;
             CREATE TABLE bench_customers (n INT PRIMARY KEY, id UUID NOT NULL, session UUID NOT NULL);
             INSERT INTO bench_customers
                 SELECT row_number() OVER (ORDER BY u.id), u.id, s.id
                 FROM users u JOIN sessions s ON s.user_id = u.id
                 WHERE u.role = 'CUSTOMER' AND s.created_at = 1;
             CREATE TABLE bench_products (n INT PRIMARY KEY, id UUID NOT NULL);
             INSERT INTO bench_products SELECT row_number() OVER (ORDER BY id), id FROM products",
        );
        for database in ["shop", "baseline"] {
            self.execute(database, "VACUUM ANALYZE");
        }
    }

    /// Runs pgbench for `duration`. Returns units per second.
    pub(crate) fn run(&self, unit: Unit, clients: usize, duration: Duration) -> f64 {
        let script = match unit {
            Unit::Writes => &self.writes,
            Unit::AllStatements => &self.all_statements,
        };
        let output = Command::new("pgbench")
            .args([
                "--no-vacuum",
                "--protocol=prepared",
                "--jobs=2",
                "--define=known=0",
            ])
            .arg(format!("--client={clients}"))
            .arg(format!("--time={}", duration.as_secs()))
            .arg("--file")
            .arg(script.path())
            .arg(self.url("baseline"))
            .output()
            .expect("pgbench is installed with the server");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{report}{errors}");
        let rate = report.lines().find_map(|line| {
            let number = line.strip_prefix("tps = ")?;
            number.split_whitespace().next()?.parse().ok()
        });
        rate.unwrap_or_else(|| panic!("{report}{errors}"))
    }

    fn execute(&self, database: &str, sql: &str) {
        let url = self.url(database);
        let work = move || {
            let mut client = Client::connect(&url, NoTls).expect("the server answers");
            client.batch_execute(sql).expect("the statements run");
        };
        // The client starts a runtime of its own, which cannot run within another.
        std::thread::scope(|scope| scope.spawn(work).join()).expect("no statement fails");
    }
}
