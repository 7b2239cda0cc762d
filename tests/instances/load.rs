//! Two instances under load, while connections break and one instance is killed: exactly the stock is sold,
//! no acknowledged order is lost, and listeners miss no event.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    Remote, Site, TestResponse,
    live::{Listener, ReceivedUpdates},
    postgres_test,
};

const CUSTOMERS: usize = 32;

/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The number of order attempts, five times the stock. `SHOP_TEST_ATTEMPTS` overrides it.
fn attempts() -> usize {
    std::env::var("SHOP_TEST_ATTEMPTS").map_or(1000, |attempts| attempts.parse().unwrap())
}

/// The state shared by all customers.
struct Load {
    kettle: String,
    /// Clients of both instances; the second is killed during the test.
    instances: [Remote; 2],
    second_is_killed: AtomicBool,
    /// The remaining attempts.
    attempts: AtomicUsize,
    sold: AtomicI64,
}

impl Load {
    /// Waits until `sold` units are sold.
    async fn reaches(&self, sold: i64) {
        let deadline = Instant::now() + TIMEOUT;
        while self.sold.load(Ordering::SeqCst) < sold {
            assert!(Instant::now() < deadline, "the customers make no progress");
            tokio::task::yield_now().await;
        }
    }
}

/// A customer that retries until it gets a definite response.
struct Shopper {
    customer: Remote,
    load: Arc<Load>,
    /// Orders whose 201 was received.
    acknowledged: Vec<Bytes>,
}

impl Shopper {
    /// Switches to the first instance if the second was killed.
    fn fail_over(&mut self) {
        if self.load.second_is_killed.load(Ordering::SeqCst) {
            let token = self.customer.token.clone().unwrap();
            self.customer = self.load.instances[0].with_token(token);
        }
    }

    /// Sends one request. Returns `None` if there was no response, or a 503.
    async fn attempt(
        &mut self,
        method: Method,
        path: &str,
        header: (&str, &str),
        body: &Value,
    ) -> Option<TestResponse> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self.customer.call(method, path, &[header], body).await;
        let Ok(answer) = answer else {
            self.fail_over();
            return None;
        };
        if answer.status == 503 {
            answer.assert_problem(503, "unavailable");
            return None;
        }
        Some(answer)
    }

    /// Ensures that exactly one unit is in the cart. Returns `false` if the product is sold out. After a
    /// request without a response the unit may be in the cart, so the quantity is set rather than added.
    async fn fill_cart(&mut self) -> bool {
        let json = ("content-type", "application/json");
        let kettle = self.load.kettle.clone();
        let line = format!("/cart/items/{kettle}");
        let mut may_be_there = true;
        loop {
            let answer = if may_be_there {
                self.attempt(Method::PATCH, &line, json, &json!({ "quantity": 1 }))
                    .await
            } else {
                let body = json!({ "productId": kettle });
                self.attempt(Method::POST, "/cart", json, &body).await
            };
            match answer {
                Some(answer) if answer.status == 200 => return true,
                Some(answer) if answer.status == 404 => may_be_there = false,
                Some(answer) => {
                    answer.assert_problem(409, "insufficient-stock");
                    return false;
                }
                None => may_be_there = true,
            }
        }
    }

    /// Places an order with the idempotency key. Returns whether it succeeded.
    async fn place_order(&mut self, key: &str) -> bool {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            assert!(Instant::now() < deadline, "no response from the shop");
            let key = ("idempotency-key", key);
            match self
                .attempt(Method::POST, "/orders", key, &Value::Null)
                .await
            {
                Some(answer) if answer.status == 201 => {
                    self.acknowledged.push(answer.body);
                    self.load.sold.fetch_add(1, Ordering::SeqCst);
                    return true;
                }
                Some(answer) => {
                    answer.assert_problem(409, "insufficient-stock");
                    return false;
                }
                None => {}
            }
        }
    }

    /// Places orders until no attempts are left.
    async fn run(mut self) -> (Remote, Vec<Bytes>) {
        let load = Arc::clone(&self.load);
        let next = |left: usize| left.checked_sub(1);
        let mut is_full = false;
        while let Ok(attempt) = load
            .attempts
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
        {
            is_full = is_full || self.fill_cart().await;
            if is_full {
                is_full = !self.place_order(&format!("key-{attempt}")).await;
            }
        }
        (self.customer, self.acknowledged)
    }
}

/// Receives all events up to `last`. Continues on the next server if the connection is lost.
async fn listen(servers: Vec<String>, since: i64, last: i64) -> ReceivedUpdates {
    let mut received = ReceivedUpdates::since(since);
    let mut servers = servers.into_iter();
    let mut server = servers.next().unwrap();
    while received.seq < last {
        let position = format!("?since={}", received.seq);
        let mut listener = Listener::at(&server, &position, &[]).await.unwrap();
        if let Some(greeting) = listener.try_receive().await {
            assert_eq!(greeting, json!({ "type": "HELLO", "seq": received.seq }));
            while received.seq < last {
                match listener.try_receive().await {
                    Some(update) => received.record(update),
                    None => break,
                }
            }
            if received.seq < last {
                server = servers
                    .next()
                    .expect("the surviving server keeps its listeners");
            }
        }
    }
    received
}

/// Terminates all current database connections, spread over the time in which units `from` to `to` are sold.
/// Returns their number.
async fn break_connections(site: &Site, load: &Load, from: i64, to: i64) -> usize {
    load.reaches(from).await;
    let raw = site.raw_db();
    let connections = raw.numbers(
        "SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid",
    );
    let count = i64::try_from(connections.len()).unwrap();
    for (number, connection) in (0..).zip(&connections) {
        load.reaches(from + (to - from) * number / count).await;
        raw.run(&format!("SELECT pg_terminate_backend({connection})"));
    }
    connections.len()
}

postgres_test! {
    async fn the_stock_is_sold_exactly_once_despite_failures(site: Site) {
        let attempts = attempts();
        let stock = i64::try_from(attempts / 5).unwrap();
        let kettle = site.product("Kettle", 129_900, stock);
        let (first, site_of_second) = (site.start(), site.another_instance());
        let second = site_of_second.start();
        let load = Arc::new(Load {
            kettle: kettle.clone(),
            instances: [Remote::new(&first), Remote::new(&second)],
            second_is_killed: AtomicBool::new(false),
            attempts: AtomicUsize::new(attempts),
            sold: AtomicI64::new(0),
        });
        let names: Vec<String> = (0..CUSTOMERS).map(|number| format!("customer{number}")).collect();
        let registered = names.iter().enumerate().map(|(number, name)| {
            load.instances[number % 2].registered(name)
        });
        let customers = futures_util::future::join_all(registered).await;

        let servers = [&first, &second].map(|process| process.url.replacen("http", "ws", 1));
        let listeners = [
            vec![servers[0].clone()],
            vec![servers[0].clone()],
            vec![servers[1].clone(), servers[0].clone()],
        ];
        let listeners = listeners.map(|servers| tokio::spawn(listen(servers, 1, 1 + stock)));
        let shoppers: Vec<_> = customers
            .into_iter()
            .map(|customer| {
                let load = Arc::clone(&load);
                tokio::spawn(Shopper { customer, load, acknowledged: Vec::new() }.run())
            })
            .collect();

        let broken = break_connections(&site, &load, stock / 10, stock / 2).await;
        assert!(broken > 4, "both instances were connected");
        load.reaches(stock * 6 / 10).await;
        second.kill();
        load.second_is_killed.store(true, Ordering::SeqCst);
        break_connections(&site, &load, stock * 7 / 10, stock * 9 / 10).await;

        let mut orders = Vec::new();
        for shopper in shoppers {
            let (customer, acknowledged) = shopper.await.unwrap();
            orders.extend(acknowledged.into_iter().map(|order| (customer.clone(), order)));
        }
        assert_eq!(i64::try_from(orders.len()).unwrap(), stock);
        let raw = site.raw_db();
        raw.assert_invariants();
        assert_eq!(raw.number("SELECT count(*) FROM orders"), stock);
        assert_eq!(raw.number("SELECT stock FROM products"), 0);
        let anonymous = Remote::new(&first);
        let mut ids = BTreeSet::new();
        for (customer, order) in &orders {
            let known: Value = serde_json::from_slice(order).unwrap();
            let id = known["id"].as_str().unwrap().to_owned();
            let customer = anonymous.with_token(customer.token.clone().unwrap());
            let shown = customer.get(&format!("/orders/{id}")).await;
            assert_eq!((shown.status, &shown.body), (200, order));
            assert!(ids.insert(id), "every order is acknowledged once");
        }
        for listener in listeners {
            let received = listener.await.unwrap();
            assert_eq!(received.stock[&kettle], 0);
        }

        // A restarted instance has the same state.
        let second = site_of_second.start();
        let (customer, order) = &orders[0];
        let known: Value = serde_json::from_slice(order).unwrap();
        let path = format!("/orders/{}", known["id"].as_str().unwrap());
        assert_eq!(&customer.at(&second).get(&path).await.body, order);
        let server = second.url.replacen("http", "ws", 1);
        let received = listen(vec![server], 1, 1 + stock).await;
        assert_eq!(received.stock[&kettle], 0);
    }
}
