//! The limit on Postgres: the same statements sent by `pgbench`, prepared, to a copy of the shop's
//! database on the same server, which is as durable as Postgres comes.

use std::{io::Write, path::Path, process::Command, time::Duration};

use postgres::{Client, NoTls};

use self::cluster::Cluster;

#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "it is a test's, and the tests do more with it"
)]
#[path = "../../tests/support/cluster.rs"]
mod cluster;

/// Three writes to the cart, each its own commit, and the order's transaction. The lines are taken
/// from the tables by sets, so that no statement waits for what another has read.
const SCRIPT: &str = "\\set u :client_id + 1
\\set p1 random(1, 10000)
\\set p2 random(1, 10000)
\\set p3 random(1, 10000)
{put :p1}
{put :p2}
{put :p3}
BEGIN;
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
END;
";

const PUT: &str = "INSERT INTO cart_items (user_id, product_id, quantity, added_at)
    SELECT u.id, p.id, 1, 1 FROM bench_customers u, bench_products p WHERE u.n = :u AND p.n = {p}
    ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = cart_items.quantity + 1;";

pub(crate) struct Pgbench {
    cluster: Cluster,
    script: tempfile::NamedTempFile,
}

impl Pgbench {
    pub(crate) fn start() -> Pgbench {
        let cluster = Cluster::make(Some(Path::new("/var/tmp")), &[]).expect("a server");
        let mut text = SCRIPT.replace("{me}", "(SELECT id FROM bench_customers WHERE n = :u)");
        for p in [":p1", ":p2", ":p3"] {
            text = text.replace(&format!("{{put {p}}}"), &PUT.replace("{p}", p));
        }
        let mut script = tempfile::NamedTempFile::new().expect("a file");
        script.write_all(text.as_bytes()).expect("it takes a text");
        let pgbench = Pgbench { cluster, script };
        pgbench.run("postgres", "CREATE DATABASE shop");
        pgbench
    }

    pub(crate) fn url(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// So much of everything that nothing sells out, and a copy of it all for the limit.
    pub(crate) fn fill_shelves(&self) {
        self.run("shop", "UPDATE products SET stock = 1000000");
        self.run("postgres", "CREATE DATABASE bare TEMPLATE shop");
        self.run(
            "bare",
            "CREATE TABLE bench_customers (n INT PRIMARY KEY, id UUID NOT NULL);
             INSERT INTO bench_customers
                 SELECT row_number() OVER (ORDER BY id), id FROM users WHERE role = 'CUSTOMER';
             CREATE TABLE bench_products (n INT PRIMARY KEY, id UUID NOT NULL);
             INSERT INTO bench_products SELECT row_number() OVER (ORDER BY id), id FROM products",
        );
        for database in ["shop", "bare"] {
            self.run(database, "VACUUM ANALYZE");
        }
    }

    /// Units a second.
    pub(crate) fn rate(&self, clients: usize, span: Duration) -> f64 {
        let output = Command::new("pgbench")
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--client={clients}"))
            .arg(format!("--time={}", span.as_secs()))
            .arg("--file")
            .arg(self.script.path())
            .arg(self.url("bare"))
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

    fn run(&self, database: &str, sql: &str) {
        let url = self.url(database);
        let work = move || {
            let mut client = Client::connect(&url, NoTls).expect("the server answers");
            client.batch_execute(sql).expect("the statements run");
        };
        // The client has a runtime of its own, which must not run within another.
        std::thread::scope(|scope| scope.spawn(work).join()).expect("no statement fails");
    }
}
