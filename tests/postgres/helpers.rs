//! A shop on its own Postgres server, with customers that retry and a listener that records events.

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
use shop::infra::db::{Location, migrate};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::support::{Process, RawDb, Remote, TestResponse, live::Listener, on_a_thread};

/// The timeout of every wait.
pub(super) const TIMEOUT: Duration = Duration::from_mins(1);

const CUSTOMERS: usize = 6;

/// The real program, with an ordinary role on its own server.
pub(super) struct Scene {
    pub(super) process: Process,
    pub(super) cluster: Cluster,
    directory: tempfile::TempDir,
    pub(super) kettle: String,
}

impl Scene {
    /// Returns `None` if the test is skipped.
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
        on_a_thread(|| migrate::run(&Location::parse(&url).unwrap()).unwrap());
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
        // The log goes to a file, so that a full pipe never blocks the program.
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

    /// Opens a superuser connection.
    pub(super) fn raw_db(&self) -> RawDb {
        let url = self.cluster.url("shop");
        let client = on_a_thread(|| Client::connect(&url, NoTls).unwrap());
        RawDb::Postgres(Mutex::new(Some(client)))
    }

    pub(super) async fn listen(&self, query: &str) -> Recorder {
        let server = self.process.url.replacen("http", "ws", 1);
        Recorder::new(Listener::at(&server, query, &[]).await.unwrap())
    }

    /// Asserts that the log contains no password and no panic.
    pub(super) fn assert_clean_log(&self) {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        for word in [SECRET, "panicked"] {
            assert!(!log.contains(word), "{word} in {log}");
        }
    }
}

/// Repeats a call until it succeeds. Every other response must be a 503 with `Retry-After` that reveals
/// nothing about the database.
pub(super) async fn retry(
    customer: &Remote,
    path: &str,
    key: Option<&str>,
    body: &Value,
) -> TestResponse {
    let deadline = Instant::now() + TIMEOUT;
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    loop {
        let call = customer.call(Method::POST, path, &headers, body.to_string());
        let answer = call.await.unwrap();
        if answer.status < 300 {
            return answer;
        }
        assert_unavailable(&answer);
        assert!(Instant::now() < deadline, "still unavailable: {answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[track_caller]
pub(super) fn assert_unavailable(refused: &TestResponse) {
    refused.assert_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let detail = refused.text("/detail");
    for inner in [
        "127.0.0.1",
        "keeper",
        "`shop`",
        "max_connections",
        "os error",
    ] {
        assert!(!detail.contains(inner), "reveals the database: {detail}");
    }
}

/// Customers that place one order after the other until stopped.
pub(super) struct Shoppers {
    customers: Vec<Remote>,
    tasks: Vec<JoinHandle<BTreeMap<String, Bytes>>>,
    /// The number of acknowledged orders.
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

    /// Waits until `more` further orders are acknowledged.
    pub(super) async fn wait_for_orders(&self, more: u64) {
        let (enough, deadline) = (
            self.placed.load(Ordering::SeqCst) + more,
            Instant::now() + TIMEOUT,
        );
        while self.placed.load(Ordering::SeqCst) < enough {
            let has_failed = self.tasks.iter().any(JoinHandle::is_finished);
            assert!(!has_failed, "a customer has failed");
            assert!(Instant::now() < deadline, "the customers make no progress");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stops the customers. Asserts that every acknowledged order exists once and unchanged.
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
        raw.assert_invariants();
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
        retry(&customer, "/cart", None, &json!({ "productId": kettle })).await;
        let key = format!("key-{turn}");
        let order = retry(&customer, "/orders", Some(&key), &json!({})).await;
        assert_eq!(order.status, 201, "{order:?}");
        // Retries as a client that has not received the response.
        let again = retry(&customer, "/orders", Some(&key), &json!({})).await;
        assert_eq!((again.status, &again.body), (201, &order.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        acknowledged.insert(key, order.body);
        placed.fetch_add(1, Ordering::SeqCst);
    }
    acknowledged
}

/// A live listener that records all messages.
pub(super) struct Recorder {
    messages: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl Recorder {
    fn new(mut listener: Listener) -> Recorder {
        let messages = Arc::<Mutex<Vec<Value>>>::default();
        let recorded = Arc::clone(&messages);
        let task = tokio::spawn(async move {
            loop {
                let message = listener.receive().await;
                recorded.lock().unwrap().push(message);
            }
        });
        Recorder { messages, task }
    }

    /// Asserts that all events up to the last were received without gaps, and that the last one has the
    /// current stock.
    pub(super) async fn assert_complete(&self, raw: &RawDb) {
        raw.wait_for_event_numbers();
        let last = raw.number("SELECT max(seq) FROM events");
        let deadline = Instant::now() + TIMEOUT;
        let seq = |message: &Value| message["seq"].as_i64().unwrap();
        while self
            .messages
            .lock()
            .unwrap()
            .last()
            .is_none_or(|message| seq(message) < last)
        {
            assert!(!self.task.is_finished(), "the socket was closed");
            assert!(Instant::now() < deadline, "event {last} was not received");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let messages = self.messages.lock().unwrap();
        assert_eq!(messages[0]["type"], "HELLO");
        for two in messages.windows(2) {
            let next = two[1]["mergedFrom"].as_i64().unwrap_or(seq(&two[1]));
            assert_eq!(next, seq(&two[0]) + 1, "{two:?}");
        }
        let stock = &messages.last().unwrap()["products"][0]["stockQuantity"];
        assert_eq!(
            stock.as_i64().unwrap(),
            raw.number("SELECT stock FROM products")
        );
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}
