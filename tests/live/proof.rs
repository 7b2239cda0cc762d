//! Clients that are disconnected again and again, while customers buy and servers are killed: in the end each knows the
//! exact stock of every product, and it never saw an older value after a newer one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use shop::core::rng::Rng;
use tokio::time::timeout;

use super::hello;
use crate::support::{
    Engine, Process, Remote, Site, event_stream::EventStream, live::Listener,
    live::ReceivedUpdates, storage_test,
};

/// The number of disconnections of each client; `SHOP_TEST_DISCONNECTS` overrides it. There is a kill for every
/// [`DISCONNECTS_PER_KILL`] of them.
const DISCONNECTS: usize = 40;
const DISCONNECTS_PER_KILL: usize = 20;

const CUSTOMERS: usize = 3;
const STOCK: i64 = 1_000_000;

/// How long a client waits for a message before it disconnects.
const PATIENCE: Duration = Duration::from_millis(300);

/// The pause before an attempt is repeated.
const PAUSE: Duration = Duration::from_millis(10);

fn disconnects() -> usize {
    std::env::var("SHOP_TEST_DISCONNECTS").map_or(DISCONNECTS, |number| number.parse().unwrap())
}

/// The URLs of the running servers.
#[derive(Clone)]
struct Servers(Arc<Mutex<Vec<String>>>);

impl Servers {
    fn random(&self, rng: &Rng) -> String {
        let urls = self.0.lock().unwrap();
        urls[usize::try_from(rng.below(urls.len() as u64)).unwrap()].clone()
    }
}

/// How a client follows the live inventory.
#[derive(Debug, Clone, Copy)]
enum Transport {
    Socket,
    Events,
    Pages,
}

/// A client with what it knows.
struct Follower {
    transport: Transport,
    received: ReceivedUpdates,
    /// The lowest value of each product. Customers only buy, so stock never rises.
    lowest: BTreeMap<String, i64>,
    rng: Rng,
}

impl Follower {
    fn record(&mut self, update: Value) {
        for product in update["products"].as_array().unwrap() {
            let id = product["id"].as_str().unwrap().to_owned();
            let stock = product["stockQuantity"].as_i64().unwrap();
            let lowest = self.lowest.entry(id).or_insert(i64::MAX);
            assert!(
                stock < *lowest,
                "{:?}: {update} after {lowest}",
                self.transport
            );
            *lowest = stock;
        }
        self.received.record(update);
    }

    /// Connects, receives up to `count` messages, and disconnects.
    async fn connect_once(&mut self, server: &str, count: u64) {
        let seq = self.received.seq;
        let since = format!("?since={seq}");
        let connected = match self.transport {
            Transport::Socket => {
                let server = server.replace("http://", "ws://");
                let listener = Listener::try_at(&server, &since).await;
                listener.ok().map(Connection::Socket)
            }
            Transport::Events => {
                let stream = EventStream::try_at(server, &since).await;
                stream.ok().map(Connection::Events)
            }
            Transport::Pages => {
                let limit = count.max(1);
                let path = format!("/inventory/changes?after={seq}&limit={limit}");
                let page = Remote::to(server).call(Method::GET, &path, &[], "").await;
                let page = page.ok().filter(|page| page.status == 200);
                page.map(|page| Connection::Page(page.json()))
            }
        };
        match connected {
            Some(Connection::Page(page)) => {
                for update in page["data"].as_array().unwrap() {
                    self.record(update.clone());
                }
                assert_eq!(page["nextAfter"], self.received.seq);
            }
            Some(mut connection) => self.receive(count, &mut connection).await,
            None => tokio::time::sleep(PAUSE).await,
        }
    }

    /// Receives the greeting and up to `count` messages, unless the connection breaks or nothing comes.
    async fn receive(&mut self, count: u64, connection: &mut Connection) {
        let Some(greeting) = connection.next().await else {
            return;
        };
        assert_eq!(greeting, hello(self.received.seq), "{:?}", self.transport);
        for _ in 0..count {
            match connection.next().await {
                Some(update) => self.record(update),
                None => return,
            }
        }
    }
}

enum Connection {
    Socket(Listener),
    Events(EventStream),
    Page(Value),
}

impl Connection {
    async fn next(&mut self) -> Option<Value> {
        let next = async {
            match self {
                Connection::Socket(listener) => listener.try_receive().await,
                Connection::Events(stream) => stream.try_receive().await,
                Connection::Page(_) => None,
            }
        };
        timeout(PATIENCE, next).await.ok()?
    }
}

/// Buys random products until told to stop.
async fn buy(
    customer: Remote,
    servers: Servers,
    products: Vec<String>,
    rng: Rng,
    stop: Arc<AtomicBool>,
) {
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        let customer =
            Remote::to(&servers.random(&rng)).with_token(customer.token.clone().unwrap());
        let product = &products[usize::try_from(rng.below(products.len() as u64)).unwrap()];
        let line = json!({ "productId": product, "quantity": 1 });
        number += 1;
        let has_bought = customer.try_post("/cart", &line).await.is_ok()
            && customer.check_out_once(&number.to_string()).await.is_ok();
        if !has_bought {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

storage_test! {
    async fn clients_know_the_exact_stock_after_disconnections_and_kills(site: Site) {
        let names = ["Kettle", "Mug", "Plate", "Spoon"];
        let products: Vec<String> =
            names.iter().map(|name| site.product(name, 129_900, STOCK)).collect();
        let sites = match site.engine {
            Engine::Sqlite => vec![site],
            Engine::Postgres => {
                let second = site.another_instance();
                vec![site, second]
            }
        };
        let mut processes: Vec<Process> = sites.iter().map(Site::start).collect();
        let urls = processes.iter().map(|process| process.url.clone()).collect();
        let servers = Servers(Arc::new(Mutex::new(urls)));
        let stop = Arc::new(AtomicBool::new(false));
        let mut buyers = Vec::new();
        for number in 0..CUSTOMERS {
            let customer = Remote::new(&processes[0]).registered(&format!("customer{number}")).await;
            let rng = Rng::seeded(number as u64);
            let buying = buy(customer, servers.clone(), products.clone(), rng, Arc::clone(&stop));
            buyers.push(tokio::spawn(buying));
        }
        let rounds = disconnects();
        let transports = [Transport::Socket, Transport::Events, Transport::Pages];
        let done = Arc::new(AtomicUsize::new(0));
        let followers = transports.map(|transport| {
            let (servers, done) = (servers.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut follower = Follower {
                    transport,
                    received: ReceivedUpdates::since(0),
                    lowest: BTreeMap::new(),
                    rng: Rng::seeded(100 + transport as u64),
                };
                for _ in 0..rounds {
                    let (server, count) = (servers.random(&follower.rng), follower.rng.below(12));
                    follower.connect_once(&server, count).await;
                    done.fetch_add(1, Ordering::SeqCst);
                }
                follower
            })
        });
        let rng = Rng::seeded(5);
        for kill in 0..rounds / DISCONNECTS_PER_KILL {
            while done.load(Ordering::SeqCst) < kill * DISCONNECTS_PER_KILL * transports.len() {
                tokio::time::sleep(PAUSE).await;
            }
            tokio::time::sleep(Duration::from_millis(rng.below(300))).await;
            let killed = kill % sites.len();
            processes.remove(killed).kill();
            processes.insert(killed, sites[killed].start());
            servers.0.lock().unwrap()[killed].clone_from(&processes[killed].url);
        }
        let mut followed = Vec::new();
        for follower in followers {
            followed.push(follower.await.unwrap());
        }
        stop.store(true, Ordering::SeqCst);
        for buyer in buyers {
            buyer.await.unwrap();
        }

        let end = Remote::new(&processes[0]).get("/inventory/changes").await.number("/nextAfter");
        assert!(end > i64::try_from(products.len()).unwrap(), "the customers bought nothing");
        let mut stock = BTreeMap::new();
        for product in &products {
            let shown = Remote::new(&processes[0]).get(&format!("/products/{product}")).await;
            stock.insert(product.clone(), shown.number("/stockQuantity"));
        }
        for follower in &mut followed {
            while follower.received.seq < end {
                let server = servers.random(&follower.rng);
                follower.connect_once(&server, 100).await;
            }
            assert_eq!(follower.received.stock, stock, "{:?}", follower.transport);
            assert_eq!(follower.lowest, stock);
        }
    }
}
