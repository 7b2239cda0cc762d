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

/// Three cart writes, each a transaction of its own, and the transaction of the order. Each statement processes all
/// lines, and reads them from the tables, so that none depends on the result of another.
const SCRIPT: &str = "\\set u :client_id + 1
\\set p1 random(1, 10000)
\\set p2 random(1, 10000)
\\set p3 random(1, 10000)
\\set key random(1, 9223372036854775807)
{upsert :p1}
{upsert :p2}
{upsert :p3}
BEGIN;
SELECT body_hash, status, headers, body FROM idempotency_keys
    WHERE user_id = {me} AND route = 'POST /api/v1/orders' AND key = :key::text AND created_at > 0;
SELECT p.id, p.name, p.price, p.stock, c.quantity FROM cart_items c
    JOIN products p ON p.id = c.product_id
    WHERE c.user_id = {me} ORDER BY p.id FOR NO KEY UPDATE OF p;
INSERT INTO orders (id, number, user_id, status, total, created_at, updated_at)
    SELECT gen_random_uuid(), gen_random_uuid()::text, c.user_id, 'PENDING',
           sum(p.price * c.quantity), 1, 1
    FROM cart_items c JOIN products p ON p.id = c.product_id
    WHERE c.user_id = {me} GROUP BY c.user_id RETURNING id AS order_id, total \\gset
INSERT INTO order_items (order_id, product_id, name, price, quantity)
    SELECT :order_id::uuid, p.id, p.name, p.price, c.quantity
    FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.user_id = {me};
INSERT INTO payments (id, order_id, provider, provider_order_id, status, amount, transaction_id,
                      created_at, updated_at)
    VALUES (gen_random_uuid(), :order_id::uuid, 'mock', gen_random_uuid()::text, 'CREATED',
            :total::bigint, NULL, 1, 1);
UPDATE products p SET stock = p.stock - c.quantity FROM cart_items c
    WHERE c.user_id = {me} AND p.id = c.product_id;
INSERT INTO stock_movements (id, product_id, delta, cause, order_id, note, at)
    SELECT gen_random_uuid(), c.product_id, -c.quantity, 'order', :order_id::uuid, NULL, 1
    FROM cart_items c WHERE c.user_id = {me};
INSERT INTO fresh_events (at, changes)
    SELECT 1, json_agg(json_build_object('id', p.id, 'stockQuantity', p.stock))::text
    FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.user_id = {me};
INSERT INTO outbox (id, recipient, template, data, state, tries, since, due_at, created_at)
    SELECT gen_random_uuid(), u.email, 'order-placed',
           json_build_object('name', u.name, 'number', :order_id::text, 'items',
               (SELECT json_agg(json_build_object('name', p.name, 'quantity', c.quantity,
                                                  'lineTotal', p.price * c.quantity))
                FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.user_id = {me}),
               'total', :total::bigint)::text,
           'waiting', 0, 1, 1, 1
    FROM users u WHERE u.id = {me};
DELETE FROM cart_items WHERE user_id = {me};
INSERT INTO idempotency_keys (user_id, route, key, body_hash, status, headers, body, created_at)
    SELECT {me}, 'POST /api/v1/orders', :key::text, sha256(''), 201,
           json_build_array(json_build_array('location', '/api/v1/orders/' || o.id::text))::text,
           convert_to(json_build_object('id', o.id, 'number', o.number, 'userId', o.user_id,
               'status', o.status, 'items',
               (SELECT json_agg(json_build_object('productId', i.product_id, 'name', i.name,
                                                  'price', i.price, 'quantity', i.quantity,
                                                  'lineTotal', i.price * i.quantity))
                FROM order_items i WHERE i.order_id = o.id),
               'totalAmount', o.total, 'currency', 'INR', 'payment',
               json_build_object('id', p.id, 'provider', p.provider,
                                 'providerOrderId', p.provider_order_id, 'status', p.status,
                                 'amount', p.amount, 'refundedAmount', 0,
                                 'transactionId', p.transaction_id, 'refunds', json_build_array()),
               'createdAt', o.created_at, 'updatedAt', o.updated_at)::text, 'UTF8'), 1
    FROM orders o JOIN payments p ON p.order_id = o.id WHERE o.id = :order_id::uuid
    ON CONFLICT (user_id, route, key) DO UPDATE
    SET body_hash = excluded.body_hash, status = excluded.status, headers = excluded.headers,
        body = excluded.body, created_at = excluded.created_at;
END;
";

const UPSERT_CART_ITEM: &str = "INSERT INTO cart_items (user_id, product_id, quantity, added_at)
    SELECT u.id, p.id, 1, 1 FROM bench_customers u, bench_products p WHERE u.n = :u AND p.n = {p}
    ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = cart_items.quantity + 1;";

pub(crate) struct Pgbench {
    cluster: Cluster,
    script: tempfile::NamedTempFile,
}

impl Pgbench {
    /// Starts a Postgres server with an empty database for the shop.
    pub(crate) fn start() -> Pgbench {
        let cluster = Cluster::make(Some(Path::new("/var/tmp")), &[]).expect("a server");
        let mut text = SCRIPT.replace("{me}", "(SELECT id FROM bench_customers WHERE n = :u)");
        for p in [":p1", ":p2", ":p3"] {
            text = text.replace(
                &format!("{{upsert {p}}}"),
                &UPSERT_CART_ITEM.replace("{p}", p),
            );
        }
        let mut script = tempfile::NamedTempFile::new().expect("a file");
        script
            .write_all(text.as_bytes())
            .expect("a file can be written to");
        let pgbench = Pgbench { cluster, script };
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
            "CREATE TABLE bench_customers (n INT PRIMARY KEY, id UUID NOT NULL);
             INSERT INTO bench_customers
                 SELECT row_number() OVER (ORDER BY id), id FROM users WHERE role = 'CUSTOMER';
             CREATE TABLE bench_products (n INT PRIMARY KEY, id UUID NOT NULL);
             INSERT INTO bench_products SELECT row_number() OVER (ORDER BY id), id FROM products",
        );
        for database in ["shop", "baseline"] {
            self.execute(database, "VACUUM ANALYZE");
        }
    }

    /// Runs pgbench for `duration`. Returns units per second.
    pub(crate) fn run(&self, clients: usize, duration: Duration) -> f64 {
        let output = Command::new("pgbench")
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--client={clients}"))
            .arg(format!("--time={}", duration.as_secs()))
            .arg("--file")
            .arg(self.script.path())
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
