//! Customers who check out. One unit is three cart writes and one order with an `Idempotency-Key`.

use std::{
    path::Path,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use super::{Connection, Measurement, Rng, request, run_load, run_shop};

/// Creates a shop with paid orders. Returns the password of its customers.
pub(crate) fn seed(
    home: &Path,
    products: usize,
    customers: usize,
    orders: usize,
    environment: &[(&str, String)],
) -> String {
    let [products, customers, orders] =
        [products, customers, orders].map(|count| count.to_string());
    let arguments = [
        "admin",
        "seed",
        "--products",
        &products,
        "--customers",
        &customers,
        "--orders",
        &orders,
    ];
    let report = run_shop(home, &arguments, environment);
    report["customerPassword"]
        .as_str()
        .expect("a password")
        .to_owned()
}

/// Sets the stock so high that no product sells out.
pub(crate) fn fill_stock(path: &Path) {
    let connection = rusqlite::Connection::open(path).expect("the file opens");
    connection
        .execute("UPDATE products SET stock = 1000000", [])
        .expect("an update");
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("a checkpoint");
}

/// Signed-in customers, each with a connection.
pub(crate) struct Customers {
    connections: Vec<Connection>,
    /// The values of their `Authorization` headers.
    tokens: Vec<String>,
    products: Rc<[String]>,
}

/// Counts the rounds of all customers, so that no key is sent again.
static ROUNDS: AtomicUsize = AtomicUsize::new(0);

impl Customers {
    /// Signs in the first `count` customers of a shop.
    pub(crate) async fn sign_in(address: &str, count: usize, password: &str) -> Customers {
        let mut customers = Customers {
            connections: Vec::new(),
            tokens: vec![String::new(); count],
            products: product_ids(address, 100).await.into(),
        };
        customers.connect(address).await;
        for (index, connection) in customers.connections.iter_mut().enumerate() {
            customers.tokens[index] = sign_in(connection, index + 1, password).await;
        }
        customers
    }

    /// Opens new connections, to a server on the same data.
    pub(crate) async fn connect(&mut self, address: &str) {
        self.disconnect();
        for _ in &self.tokens {
            self.connections.push(Connection::open(address).await);
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.connections.clear();
    }

    /// Keeps the first `count` customers.
    pub(crate) fn keep(&mut self, count: usize) {
        self.tokens.truncate(count);
        self.connections.truncate(count);
    }

    /// Lets the first customer check out once.
    pub(crate) async fn check_out_once(&mut self) {
        let mut rng = Rng(ROUNDS.fetch_add(1, Ordering::Relaxed) as u64 + 1);
        check_out(
            &mut self.connections[0],
            &self.tokens[0],
            &self.products,
            &mut rng,
        )
        .await;
    }

    /// Checks out until `until` is done. Returns its result.
    pub(crate) async fn check_out_during<T>(
        &mut self,
        until: impl Future<Output = T>,
    ) -> (T, Measurement) {
        self.check_out_every(Duration::ZERO, until).await
    }

    /// Like [`Customers::check_out_during`]. Each customer begins at most one checkout in `interval`.
    pub(crate) async fn check_out_every<T>(
        &mut self,
        interval: Duration,
        until: impl Future<Output = T>,
    ) -> (T, Measurement) {
        let round = ROUNDS.fetch_add(1, Ordering::Relaxed);
        let (connections, result, measurement) = run_load(
            std::mem::take(&mut self.connections),
            until,
            |index, mut connection, stop, latencies| {
                let (token, products) = (self.tokens[index].clone(), Rc::clone(&self.products));
                let mut rng = Rng((index * 7919 + round) as u64 + 1);
                async move {
                    while !stop.is_requested() {
                        let started = Instant::now();
                        check_out(&mut connection, &token, &products, &mut rng).await;
                        latencies.record(started.elapsed());
                        if !interval.is_zero() {
                            tokio::time::sleep_until((started + interval).into()).await;
                        }
                    }
                    connection
                }
            },
        )
        .await;
        self.connections = connections;
        (result, measurement)
    }
}

/// Returns the ids of the products on the first pages, of 100 each.
pub(crate) async fn product_ids(address: &str, pages: usize) -> Vec<String> {
    let mut connection = Connection::open(address).await;
    let mut ids = Vec::new();
    for page in 1..=pages {
        let path = format!("/api/v1/products?limit=100&page={page}");
        let (status, body) = connection.send(&request("GET", &path, &[], "")).await;
        assert_eq!(status, 200);
        let page: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let data = page["data"].as_array().expect("a page").iter();
        ids.extend(data.filter_map(|product| product["id"].as_str().map(str::to_owned)));
    }
    ids
}

/// Returns the value of the `Authorization` header of a customer.
pub(crate) async fn sign_in(connection: &mut Connection, number: usize, password: &str) -> String {
    let body = format!(r#"{{"email":"customer{number}@example.com","password":"{password}"}}"#);
    let (status, body) = connection
        .send(&request("POST", "/api/v1/auth/login", &[], &body))
        .await;
    assert_eq!(status, 200);
    let session: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    let token = session["accessToken"].as_str().expect("a token");
    format!("Bearer {token}")
}

/// Runs one unit: three cart writes and one order.
async fn check_out(connection: &mut Connection, token: &str, products: &[String], rng: &mut Rng) {
    let authorization = ("authorization", token);
    for _ in 0..3 {
        let product = &products[rng.below(products.len())];
        let body = format!(r#"{{"productId":"{product}"}}"#);
        let add = request("POST", "/api/v1/cart", &[authorization], &body);
        let (status, body) = connection.send(&add).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
    }
    let key = rng.hex_key();
    let headers = [authorization, ("idempotency-key", key.as_str())];
    let order = request("POST", "/api/v1/orders", &headers, "");
    let (status, body) = connection.send(&order).await;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(body));
}
