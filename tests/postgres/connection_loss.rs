//! Connections to the server are lost temporarily, repeatedly or permanently: no acknowledged change is lost
//! or made twice, and the process recovers.

use std::{process::ExitStatus, time::Instant};

use serde_json::json;

use super::{
    helpers::{Scene, Shoppers, TIMEOUT, assert_unavailable, retry},
    *,
};
use crate::support::{Process, RawDb, Remote, live::Listener, on_a_thread};

/// Terminates all backends of the shop. Returns their number.
fn terminate_all(raw: &RawDb) -> i64 {
    raw.number(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'keeper'",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminated_backends_lose_and_duplicate_nothing() {
    let Some(scene) = Scene::open(&[]) else {
        return;
    };
    let raw = scene.raw_db();
    let recorder = scene.listen("").await;
    let shoppers = Shoppers::start(&scene).await;
    for _ in 0..8 {
        shoppers.wait_for_orders(7).await;
        assert!(terminate_all(&raw) > 0);
    }
    shoppers.wait_for_orders(20).await;
    shoppers.finish(&raw).await;
    recorder.assert_complete(&raw).await;
    scene.listen("?since=0").await.assert_complete(&raw).await;
    assert_eq!(
        Remote::new(&scene.process).get("/products").await.status,
        200
    );
    scene.assert_clean_log();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_restart_under_load_is_survived() {
    let Some(scene) = Scene::open(&[]) else {
        return;
    };
    let recorder = scene.listen("").await;
    let shoppers = Shoppers::start(&scene).await;
    for _ in 0..3 {
        shoppers.wait_for_orders(10).await;
        tokio::task::block_in_place(|| scene.cluster.restart());
    }
    shoppers.wait_for_orders(20).await;
    let raw = scene.raw_db();
    shoppers.finish(&raw).await;
    recorder.assert_complete(&raw).await;
    scene.listen("?since=0").await.assert_complete(&raw).await;
    scene.assert_clean_log();
}

/// Connections of another client, until they are dropped.
#[derive(Default)]
struct Held(Vec<Client>);

impl Held {
    /// Opens connections until the server has none left.
    fn take_all(&mut self, server: &Cluster) {
        let url = server.url("postgres");
        on_a_thread(|| {
            while let Ok(client) = Client::connect(&url, NoTls) {
                self.0.push(client);
            }
        });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        on_a_thread(|| self.0.clear());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exhausted_connections_are_a_503_with_retry_after() {
    let Some(scene) = Scene::open(&[("max_connections", "30")]) else {
        return;
    };
    let (raw, anonymous) = (scene.raw_db(), Remote::new(&scene.process));
    let recorder = scene.listen("").await;
    let ada = anonymous.registered("ada").await;
    retry(&ada, "/cart", None, &json!({ "productId": scene.kettle })).await;

    // Some of the shop's threads have a connection; the others now need one.
    let mut held = Held::default();
    held.take_all(&scene.cluster);
    let answers = futures_util::future::join_all((0..64).map(|_| anonymous.get("/products"))).await;
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_unavailable(answer);
    }

    // Now none of them has one.
    let deadline = Instant::now() + TIMEOUT;
    let own = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'keeper'";
    while raw.number(own) > 0 {
        assert!(
            Instant::now() < deadline,
            "the shop's connections are still open"
        );
        terminate_all(&raw);
        held.take_all(&scene.cluster);
    }
    assert_unavailable(&anonymous.get("/products").await);
    assert_unavailable(&ada.check_out_once("key-1").await.unwrap());
    assert_eq!(status(&scene.process, "/healthz").await, 200);
    assert_eq!(status(&scene.process, "/readyz").await, 503);

    drop(held);
    let order = retry(&ada, "/orders", Some("key-1"), &json!({})).await;
    assert_eq!(order.status, 201);
    let answers = futures_util::future::join_all((0..64).map(|_| anonymous.get("/products"))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    assert_eq!(raw.number("SELECT count(*) FROM orders"), 1);
    recorder.assert_complete(&raw).await;
    raw.assert_invariants();
    scene.assert_clean_log();
}

/// Waits for the end of a process after SIGTERM.
async fn wait_for_exit(process: Process) -> ExitStatus {
    let ended = tokio::task::spawn_blocking(|| process.wait());
    let ended = tokio::time::timeout(TIMEOUT, ended).await;
    ended.expect("the process did not end").unwrap()
}

/// Returns the status of a path outside the API.
async fn status(process: &Process, path: &str) -> u16 {
    let url = format!("{}{path}", process.url);
    reqwest::get(url).await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_server_is_a_503_and_does_not_block_the_shutdown() {
    let Some(scene) = Scene::open(&[]) else {
        return;
    };
    let anonymous = Remote::new(&scene.process);
    let ada = anonymous.registered("ada").await;
    retry(&ada, "/cart", None, &json!({ "productId": scene.kettle })).await;
    let server = scene.process.url.replacen("http", "ws", 1);
    let mut early = Listener::at(&server, "", &[]).await.unwrap();
    assert_eq!(early.receive().await["type"], "HELLO");

    tokio::task::block_in_place(|| scene.cluster.stop());
    for _ in 0..20 {
        assert_unavailable(&anonymous.get("/products").await);
        assert_unavailable(&ada.get("/cart").await);
        assert_unavailable(&ada.check_out_once("key-1").await.unwrap());
        assert_eq!(status(&scene.process, "/readyz").await, 503);
        assert_eq!(status(&scene.process, "/healthz").await, 200);
    }
    let mut late = Listener::at(&server, "", &[]).await.unwrap();

    scene.process.terminate();
    assert_eq!(early.close_code().await, 1001);
    assert_eq!(
        late.close_code().await,
        1001,
        "a listener without a greeting is closed, too"
    );
    scene.assert_clean_log();
    assert_eq!(wait_for_exit(scene.process).await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_events_survive_a_crash_of_a_server_with_asynchronous_commit() {
    // A commit that is not flushed synchronously is lost in the crash.
    let asynchronous = [("wal_writer_delay", "10000"), ("synchronous_commit", "off")];
    let Some(scene) = Scene::open(&asynchronous) else {
        return;
    };
    let ada = Remote::new(&scene.process).registered("ada").await;
    let server = scene.process.url.replacen("http", "ws", 1);
    let mut listener = Listener::at(&server, "", &[]).await.unwrap();
    assert_eq!(listener.receive().await["type"], "HELLO");
    for turn in 0..3 {
        retry(&ada, "/cart", None, &json!({ "productId": scene.kettle })).await;
        retry(&ada, "/orders", Some(&format!("key-{turn}")), &json!({})).await;
        let update = listener.receive().await;
        tokio::task::block_in_place(|| scene.cluster.restart());
        let raw = scene.raw_db();
        let count = "SELECT count(*) FROM events WHERE seq = ";
        assert_eq!(
            raw.number(&format!("{count}{}", update["seq"])),
            1,
            "{update}"
        );
        assert_eq!(raw.number("SELECT count(*) FROM orders"), turn + 1);
    }
}

/// Suspends all processes of a server until dropped. It accepts connections but does not respond, like a
/// server whose disk hangs.
struct Frozen(Vec<String>);

impl Frozen {
    fn server(cluster: &Cluster) -> Frozen {
        let postmaster = fs::read_to_string(cluster.directory().join("postmaster.pid")).unwrap();
        let mut all = vec![postmaster.lines().next().unwrap().to_owned()];
        let url = cluster.url("postgres");
        all.extend(on_a_thread(|| {
            let backends = "SELECT pid::text FROM pg_stat_activity WHERE usename = 'keeper'";
            let mut client = Client::connect(&url, NoTls).unwrap();
            let rows = client.query(backends, &[]).unwrap();
            rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
        }));
        let frozen = Frozen(all);
        frozen.signal("-STOP");
        frozen
    }

    fn signal(&self, which: &str) {
        let done = Command::new("kill").arg(which).args(&self.0).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unresponsive_server_does_not_block_the_shutdown() {
    let Some(scene) = Scene::open(&[]) else {
        return;
    };
    let Scene {
        process, cluster, ..
    } = scene;
    assert_eq!(status(&process, "/readyz").await, 200);
    let frozen = Frozen::server(&cluster);
    assert_eq!(status(&process, "/healthz").await, 200);
    process.terminate();
    let ended = wait_for_exit(process).await;
    drop(frozen);
    assert_eq!(ended.code(), Some(0));
}
