//! Two instances under load from both sides, while connections break and one of them is killed:
//! exactly what there was is sold, nothing acknowledged is lost, and who listens misses nothing.

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
    Answer, Remote, Site,
    live::{Heard, Listener},
    postgres_test,
};

const CUSTOMERS: usize = 32;

/// How long the load may take to get on; past it the test has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often somebody tries to order, five times as often as there are pieces; more by
/// `SHOP_TEST_ATTEMPTS`.
fn attempts() -> usize {
    std::env::var("SHOP_TEST_ATTEMPTS").map_or(1000, |attempts| attempts.parse().unwrap())
}

/// What everybody sees.
struct Load {
    kettle: String,
    /// Where the shop answers; the second is killed on the way.
    doors: [Remote; 2],
    second_is_gone: AtomicBool,
    /// How often somebody may still try.
    attempts: AtomicUsize,
    sold: AtomicI64,
}

impl Load {
    /// Until so many pieces are sold.
    async fn reaches(&self, sold: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.sold.load(Ordering::SeqCst) < sold {
            assert!(Instant::now() < deadline, "the customers do not get on");
            tokio::task::yield_now().await;
        }
    }
}

/// One customer, who has the patience to try again until the shop has said yes or no.
struct Shopper {
    customer: Remote,
    load: Arc<Load>,
    /// Orders whose 201 was read.
    acknowledged: Vec<Bytes>,
}

impl Shopper {
    /// Goes to the other door, if this one is closed for ever.
    fn turn(&mut self) {
        if self.load.second_is_gone.load(Ordering::SeqCst) {
            let token = self.customer.token.clone().unwrap();
            self.customer = self.load.doors[0].with_token(token);
        }
    }

    /// The answer to one try, if there was one.
    async fn tries(
        &mut self,
        method: Method,
        path: &str,
        header: (&str, &str),
        body: &Value,
    ) -> Option<Answer> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self.customer.call(method, path, &[header], body).await;
        let Ok(answer) = answer else {
            self.turn();
            return None;
        };
        if answer.status == 503 {
            answer.is_problem(503, "unavailable");
            return None;
        }
        Some(answer)
    }

    /// Sees to it that just one piece is in the cart; tells whether there is one to be had. What
    /// became of a try without an answer is not known, so it is set before it is added once more.
    async fn fills_cart(&mut self) -> bool {
        let json = ("content-type", "application/json");
        let kettle = self.load.kettle.clone();
        let line = format!("/cart/items/{kettle}");
        let mut may_be_there = true;
        loop {
            let answer = if may_be_there {
                self.tries(Method::PATCH, &line, json, &json!({ "quantity": 1 }))
                    .await
            } else {
                let body = json!({ "productId": kettle });
                self.tries(Method::POST, "/cart", json, &body).await
            };
            match answer {
                Some(answer) if answer.status == 200 => return true,
                Some(answer) if answer.status == 404 => may_be_there = false,
                Some(answer) => {
                    answer.is_problem(409, "insufficient-stock");
                    return false;
                }
                None => may_be_there = true,
            }
        }
    }

    /// Orders under `key`; tells whether it came to an order.
    async fn orders(&mut self, key: &str) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "the shop does not answer");
            let key = ("idempotency-key", key);
            match self.tries(Method::POST, "/orders", key, &Value::Null).await {
                Some(answer) if answer.status == 201 => {
                    self.acknowledged.push(answer.body);
                    self.load.sold.fetch_add(1, Ordering::SeqCst);
                    return true;
                }
                Some(answer) => {
                    answer.is_problem(409, "insufficient-stock");
                    return false;
                }
                None => {}
            }
        }
    }

    async fn shops(mut self) -> (Remote, Vec<Bytes>) {
        let load = Arc::clone(&self.load);
        let next = |left: usize| left.checked_sub(1);
        let mut is_full = false;
        while let Ok(attempt) = load
            .attempts
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
        {
            is_full = is_full || self.fills_cart().await;
            if is_full {
                is_full = !self.orders(&format!("key-{attempt}")).await;
            }
        }
        (self.customer, self.acknowledged)
    }
}

/// Hears everything up to `last`; where the connection is lost, it goes on at the next server.
async fn listens(servers: Vec<String>, since: i64, last: i64) -> Heard {
    let mut heard = Heard::since(since);
    let mut servers = servers.into_iter();
    let mut server = servers.next().unwrap();
    while heard.seq < last {
        let position = format!("?since={}", heard.seq);
        let mut listener = Listener::at(&server, &position, &[]).await.unwrap();
        if let Some(greeting) = listener.try_hear().await {
            assert_eq!(greeting, json!({ "type": "HELLO", "seq": heard.seq }));
            while heard.seq < last {
                match listener.try_hear().await {
                    Some(update) => heard.note(update),
                    None => break,
                }
            }
            if heard.seq < last {
                server = servers.next().expect("who survives lets nobody go");
            }
        }
    }
    heard
}

/// Breaks every connection that there is now, one after the other, while pieces are sold from
/// `from` to `to`; tells how many.
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
    async fn what_there_is_is_sold_once_whatever_breaks(site: Site) {
        let attempts = attempts();
        let stock = i64::try_from(attempts / 5).unwrap();
        let kettle = site.product("Kettle", 129_900, stock);
        let (first, site_of_second) = (site.start(), site.beside());
        let second = site_of_second.start();
        let load = Arc::new(Load {
            kettle: kettle.clone(),
            doors: [Remote::new(&first), Remote::new(&second)],
            second_is_gone: AtomicBool::new(false),
            attempts: AtomicUsize::new(attempts),
            sold: AtomicI64::new(0),
        });
        let names: Vec<String> = (0..CUSTOMERS).map(|number| format!("customer{number}")).collect();
        let registered = names.iter().enumerate().map(|(number, name)| {
            load.doors[number % 2].registered(name)
        });
        let customers = futures_util::future::join_all(registered).await;

        let servers = [&first, &second].map(|process| process.url.replacen("http", "ws", 1));
        let listeners = [
            vec![servers[0].clone()],
            vec![servers[0].clone()],
            vec![servers[1].clone(), servers[0].clone()],
        ];
        let listeners = listeners.map(|servers| tokio::spawn(listens(servers, 1, 1 + stock)));
        let shoppers: Vec<_> = customers
            .into_iter()
            .map(|customer| {
                let load = Arc::clone(&load);
                tokio::spawn(Shopper { customer, load, acknowledged: Vec::new() }.shops())
            })
            .collect();

        let broken = break_connections(&site, &load, stock / 10, stock / 2).await;
        assert!(broken > 4, "both instances were connected");
        load.reaches(stock * 6 / 10).await;
        second.kill();
        load.second_is_gone.store(true, Ordering::SeqCst);
        break_connections(&site, &load, stock * 7 / 10, stock * 9 / 10).await;

        let mut orders = Vec::new();
        for shopper in shoppers {
            let (customer, acknowledged) = shopper.await.unwrap();
            orders.extend(acknowledged.into_iter().map(|order| (customer.clone(), order)));
        }
        assert_eq!(i64::try_from(orders.len()).unwrap(), stock);
        let raw = site.raw_db();
        raw.assert_sound();
        assert_eq!(raw.number("SELECT count(*) FROM orders"), stock);
        assert_eq!(raw.number("SELECT stock FROM products"), 0);
        let visitor = Remote::new(&first);
        let mut ids = BTreeSet::new();
        for (customer, order) in &orders {
            let known: Value = serde_json::from_slice(order).unwrap();
            let id = known["id"].as_str().unwrap().to_owned();
            let customer = visitor.with_token(customer.token.clone().unwrap());
            let shown = customer.get(&format!("/orders/{id}")).await;
            assert_eq!((shown.status, &shown.body), (200, order));
            assert!(ids.insert(id), "no order was told twice");
        }
        for listener in listeners {
            let heard = listener.await.unwrap();
            assert_eq!(heard.stock[&kettle], 0);
        }

        // Who comes back finds everything as it is.
        let second = site_of_second.start();
        let (customer, order) = &orders[0];
        let known: Value = serde_json::from_slice(order).unwrap();
        let path = format!("/orders/{}", known["id"].as_str().unwrap());
        assert_eq!(&customer.at(&second).get(&path).await.body, order);
        let server = second.url.replacen("http", "ws", 1);
        let heard = listens(vec![server], 1, 1 + stock).await;
        assert_eq!(heard.stock[&kettle], 0);
    }
}
