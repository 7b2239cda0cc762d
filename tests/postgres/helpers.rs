//! A shop on a server that is about to be lost, its patient customers, and who listens to it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use shop::infra::db::{migrate, postgres::Target};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::support::{Answer, Process, RawDb, Remote, live::Listener, on_a_thread};

/// How long something must have happened at last; past it the test has failed.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

const CUSTOMERS: usize = 6;

/// The real program, as an ordinary role on a server of its own.
pub(super) struct Scene {
    pub(super) process: Process,
    pub(super) cluster: Cluster,
    directory: tempfile::TempDir,
    pub(super) kettle: String,
}

impl Scene {
    /// None where the test is skipped.
    pub(super) fn open(settings: &[(&str, &str)]) -> Option<Scene> {
        let cluster = Cluster::start(settings)?;
        on_a_thread(|| {
            let mut client = Client::connect(&cluster.url("postgres"), NoTls).unwrap();
            client.batch_execute("CREATE ROLE keeper LOGIN").unwrap();
            client
                .batch_execute("CREATE DATABASE shop OWNER keeper")
                .unwrap();
        });
        let directory = tempfile::tempdir().unwrap();
        let url = format!(
            "postgres://keeper:{SECRET}@127.0.0.1:{}/shop",
            cluster.port()
        );
        on_a_thread(|| migrate::postgres(&Target::parse(&url).unwrap()).unwrap());
        let add = ["admin", "product", "add", "--json", "--name", "Kettle"];
        let made = Command::new(env!("CARGO_BIN_EXE_shop"))
            .args(add)
            .args(["--price", "129900", "--stock", "1000000", "--data-dir"])
            .arg(directory.path())
            .env("SHOP_DATABASE_URL", &url)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        // What it logs goes to a file, so that it never waits for a reader.
        let mut command = Command::new("sh");
        command
            .args(["-c", "log=$1; shift; exec \"$0\" \"$@\" 2>\"$log\""])
            .arg(env!("CARGO_BIN_EXE_shop"))
            .arg(directory.path().join("log"))
            .env("SHOP_DATABASE_URL", url);
        Some(Scene {
            process: Process::start_with(command, directory.path()),
            cluster,
            directory,
            kettle: made["id"].as_str().unwrap().to_owned(),
        })
    }

    /// The superuser's connection.
    pub(super) fn raw_db(&self) -> RawDb {
        let url = self.cluster.url("shop");
        let client = on_a_thread(|| Client::connect(&url, NoTls).unwrap());
        RawDb::Postgres(Mutex::new(Some(client)))
    }

    pub(super) async fn listen(&self, query: &str) -> Ear {
        let server = self.process.url.replacen("http", "ws", 1);
        Ear::new(Listener::at(&server, query, &[]).await.unwrap())
    }

    /// What must hold at the end of each story.
    pub(super) fn assert_discreet(&self) {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        for word in [SECRET, "panicked"] {
            assert!(!log.contains(word), "{word} in {log}");
        }
    }
}

/// A call that is repeated until it succeeds, as a patient client's; whatever else is answered must
/// be a refusal that says when to come again, and nothing of where the shop is kept.
pub(super) async fn insists(
    customer: &Remote,
    path: &str,
    key: Option<&str>,
    body: &Value,
) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    loop {
        let call = customer.call(Method::POST, path, &headers, body.to_string());
        let answer = call.await.unwrap();
        if answer.status < 300 {
            return answer;
        }
        is_polite(&answer);
        assert!(Instant::now() < deadline, "refused for ever: {answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[track_caller]
pub(super) fn is_polite(refused: &Answer) {
    refused.is_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let detail = refused.text("/detail");
    for inner in [
        "127.0.0.1",
        "keeper",
        "`shop`",
        "max_connections",
        "os error",
    ] {
        assert!(
            !detail.contains(inner),
            "tells where the shop is kept: {detail}"
        );
    }
}

/// Customers who order one kettle after the other until they are told to stop.
pub(super) struct Shoppers {
    customers: Vec<Remote>,
    tasks: Vec<JoinHandle<BTreeMap<String, Bytes>>>,
    /// How many orders were acknowledged.
    placed: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl Shoppers {
    pub(super) async fn start(scene: &Scene) -> Shoppers {
        let mut shoppers = Shoppers {
            customers: Vec::new(),
            tasks: Vec::new(),
            placed: Arc::default(),
            stop: CancellationToken::new(),
        };
        for number in 0..CUSTOMERS {
            let name = format!("customer{number}");
            let customer = Remote::new(&scene.process).registered(&name).await;
            shoppers.tasks.push(tokio::spawn(shop_on(
                customer.clone(),
                scene.kettle.clone(),
                Arc::clone(&shoppers.placed),
                shoppers.stop.clone(),
            )));
            shoppers.customers.push(customer);
        }
        shoppers
    }

    /// Waits until so many more orders are acknowledged.
    pub(super) async fn place(&self, more: u64) {
        let (enough, deadline) = (
            self.placed.load(Ordering::SeqCst) + more,
            Instant::now() + PATIENCE,
        );
        while self.placed.load(Ordering::SeqCst) < enough {
            let has_failed = self.tasks.iter().any(JoinHandle::is_finished);
            assert!(!has_failed, "a customer has given up");
            assert!(Instant::now() < deadline, "the customers do not get on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets everybody finish; then every order is there once, and as it was acknowledged.
    pub(super) async fn finish(self, raw: &RawDb) {
        self.stop.cancel();
        let mut orders = 0;
        for (customer, task) in self.customers.iter().zip(self.tasks) {
            for body in task.await.unwrap().into_values() {
                let order: Value = serde_json::from_slice(&body).unwrap();
                let path = format!("/orders/{}", order["id"].as_str().unwrap());
                let shown = customer.get(&path).await;
                assert_eq!((shown.status, &shown.body), (200, &body));
                orders += 1;
            }
        }
        assert_eq!(raw.number("SELECT count(*) FROM orders"), orders);
        raw.assert_sound();
    }
}

async fn shop_on(
    customer: Remote,
    kettle: String,
    placed: Arc<AtomicU64>,
    stop: CancellationToken,
) -> BTreeMap<String, Bytes> {
    let mut acknowledged = BTreeMap::new();
    for turn in 0.. {
        if stop.is_cancelled() {
            break;
        }
        insists(&customer, "/cart", None, &json!({ "productId": kettle })).await;
        let key = format!("key-{turn}");
        let order = insists(&customer, "/orders", Some(&key), &json!({})).await;
        assert_eq!(order.status, 201, "{order:?}");
        // as who has not read the answer would ask
        let again = insists(&customer, "/orders", Some(&key), &json!({})).await;
        assert_eq!((again.status, &again.body), (201, &order.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        acknowledged.insert(key, order.body);
        placed.fetch_add(1, Ordering::SeqCst);
    }
    acknowledged
}

/// One that writes down what the shop says to it.
pub(super) struct Ear {
    heard: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl Ear {
    fn new(mut listener: Listener) -> Ear {
        let heard = Arc::<Mutex<Vec<Value>>>::default();
        let notes = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let message = listener.hear().await;
                notes.lock().unwrap().push(message);
            }
        });
        Ear { heard, task }
    }

    /// Fails the test unless everything up to the last event is told, without a gap, and the stock
    /// as it is at the end.
    pub(super) async fn has_heard_all(&self, raw: &RawDb) {
        raw.await_numbers();
        let last = raw.number("SELECT max(seq) FROM events");
        let deadline = Instant::now() + PATIENCE;
        let seq = |message: &Value| message["seq"].as_i64().unwrap();
        while self
            .heard
            .lock()
            .unwrap()
            .last()
            .is_none_or(|message| seq(message) < last)
        {
            assert!(!self.task.is_finished(), "the socket was closed");
            assert!(Instant::now() < deadline, "{last} was never told");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let heard = self.heard.lock().unwrap();
        assert_eq!(heard[0]["type"], "HELLO");
        for two in heard.windows(2) {
            let next = two[1]["mergedFrom"].as_i64().unwrap_or(seq(&two[1]));
            assert_eq!(next, seq(&two[0]) + 1, "{two:?}");
        }
        let told = &heard.last().unwrap()["products"][0]["stockQuantity"];
        assert_eq!(
            told.as_i64().unwrap(),
            raw.number("SELECT stock FROM products")
        );
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}
