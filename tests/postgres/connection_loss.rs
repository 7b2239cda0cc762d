//! The server lost for a moment, again and again, or for good: nothing that was acknowledged is
//! lost, nothing is done twice, and the same process serves on.

use std::{process::ExitStatus, time::Instant};

use serde_json::json;

use super::{
    helpers::{PATIENCE, Scene, Shoppers, insists, is_polite},
    *,
};
use crate::support::{Process, RawDb, Remote, live::Listener, on_a_thread};

/// Ends all of the shop's sessions, as an administrator would; tells how many.
fn terminate_all(raw: &RawDb) -> i64 {
    raw.number(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'keeper'",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminated_backends_lose_nothing_and_double_nothing() {
    let Some(scene) = Scene::open(&[]) else {
        return;
    };
    let raw = scene.raw_db();
    let ear = scene.listen("").await;
    let shoppers = Shoppers::start(&scene).await;
    for _ in 0..8 {
        shoppers.place(7).await;
        assert!(terminate_all(&raw) > 0);
    }
    shoppers.place(20).await;
    shoppers.finish(&raw).await;
    ear.has_heard_all(&raw).await;
    scene.listen("?since=0").await.has_heard_all(&raw).await;
    assert_eq!(
        Remote::new(&scene.process).get("/products").await.status,
        200
    );
    scene.assert_discreet();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_under_load_is_found_again() {
    let Some(scene) = Scene::open(&[]) else {
        return;
    };
    let ear = scene.listen("").await;
    let shoppers = Shoppers::start(&scene).await;
    for _ in 0..3 {
        shoppers.place(10).await;
        tokio::task::block_in_place(|| scene.cluster.restart());
    }
    shoppers.place(20).await;
    let raw = scene.raw_db();
    shoppers.finish(&raw).await;
    ear.has_heard_all(&raw).await;
    scene.listen("?since=0").await.has_heard_all(&raw).await;
    scene.assert_discreet();
}

/// Connections that somebody else holds, until they are dropped.
#[derive(Default)]
struct Held(Vec<Client>);

impl Held {
    /// Takes every one that the server has left.
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
async fn connections_that_others_have_used_up_are_a_503_with_retry_after() {
    let Some(scene) = Scene::open(&[("max_connections", "30")]) else {
        return;
    };
    let (raw, visitor) = (scene.raw_db(), Remote::new(&scene.process));
    let ear = scene.listen("").await;
    let ada = visitor.registered("ada").await;
    insists(&ada, "/cart", None, &json!({ "productId": scene.kettle })).await;

    // Some of the shop's threads have theirs, the others want one now.
    let mut held = Held::default();
    held.take_all(&scene.cluster);
    let answers = futures_util::future::join_all((0..64).map(|_| visitor.get("/products"))).await;
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        is_polite(answer);
    }

    // None of them has one any more.
    let deadline = Instant::now() + PATIENCE;
    let own = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'keeper'";
    while raw.number(own) > 0 {
        assert!(
            Instant::now() < deadline,
            "the shop's connections do not end"
        );
        terminate_all(&raw);
        held.take_all(&scene.cluster);
    }
    is_polite(&visitor.get("/products").await);
    is_polite(&ada.check_out_once("key-1").await.unwrap());
    assert_eq!(status(&scene.process, "/healthz").await, 200);
    assert_eq!(status(&scene.process, "/readyz").await, 503);

    drop(held);
    let order = insists(&ada, "/orders", Some("key-1"), &json!({})).await;
    assert_eq!(order.status, 201);
    let answers = futures_util::future::join_all((0..64).map(|_| visitor.get("/products"))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    assert_eq!(raw.number("SELECT count(*) FROM orders"), 1);
    ear.has_heard_all(&raw).await;
    raw.assert_sound();
    scene.assert_discreet();
}

/// How a process ends that was told to.
async fn ends(process: Process) -> ExitStatus {
    let ended = tokio::task::spawn_blocking(|| process.wait());
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    ended.expect("it runs on").unwrap()
}

/// What is answered outside of the API.
async fn status(process: &Process, path: &str) -> u16 {
    let url = format!("{}{path}", process.url);
    reqwest::get(url).await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_for_good_is_a_503_and_keeps_nobody_from_stopping() {
    let Some(scene) = Scene::open(&[]) else {
        return;
    };
    let visitor = Remote::new(&scene.process);
    let ada = visitor.registered("ada").await;
    insists(&ada, "/cart", None, &json!({ "productId": scene.kettle })).await;
    let server = scene.process.url.replacen("http", "ws", 1);
    let mut early = Listener::at(&server, "", &[]).await.unwrap();
    assert_eq!(early.hear().await["type"], "HELLO");

    tokio::task::block_in_place(|| scene.cluster.stop());
    for _ in 0..20 {
        is_polite(&visitor.get("/products").await);
        is_polite(&ada.get("/cart").await);
        is_polite(&ada.check_out_once("key-1").await.unwrap());
        assert_eq!(status(&scene.process, "/readyz").await, 503);
        assert_eq!(status(&scene.process, "/healthz").await, 200);
    }
    let mut late = Listener::at(&server, "", &[]).await.unwrap();

    scene.process.terminate();
    assert_eq!(early.close_code().await, 1001);
    assert_eq!(
        late.close_code().await,
        1001,
        "who came too late for a greeting"
    );
    scene.assert_discreet();
    assert_eq!(ends(scene.process).await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_listeners_were_told_outlives_a_careless_server() {
    // What is not synced by the commit itself is not synced at all before the crash.
    let careless = [("wal_writer_delay", "10000"), ("synchronous_commit", "off")];
    let Some(scene) = Scene::open(&careless) else {
        return;
    };
    let ada = Remote::new(&scene.process).registered("ada").await;
    let server = scene.process.url.replacen("http", "ws", 1);
    let mut listener = Listener::at(&server, "", &[]).await.unwrap();
    assert_eq!(listener.hear().await["type"], "HELLO");
    for turn in 0..3 {
        insists(&ada, "/cart", None, &json!({ "productId": scene.kettle })).await;
        insists(&ada, "/orders", Some(&format!("key-{turn}")), &json!({})).await;
        let told = listener.hear().await;
        tokio::task::block_in_place(|| scene.cluster.restart());
        let raw = scene.raw_db();
        let kept = "SELECT count(*) FROM events WHERE seq = ";
        assert_eq!(raw.number(&format!("{kept}{}", told["seq"])), 1, "{told}");
        assert_eq!(raw.number("SELECT count(*) FROM orders"), turn + 1);
    }
}

/// A server whose every process stands still, until this is dropped: it takes connections and says
/// nothing, as one whose disk hangs.
struct Frozen(Vec<String>);

impl Frozen {
    fn server(cluster: &Cluster) -> Frozen {
        let postmaster = fs::read_to_string(cluster.directory().join("postmaster.pid")).unwrap();
        let mut all = vec![postmaster.lines().next().unwrap().to_owned()];
        let url = cluster.url("postgres");
        all.extend(on_a_thread(|| {
            let sessions = "SELECT pid::text FROM pg_stat_activity WHERE usename = 'keeper'";
            let mut client = Client::connect(&url, NoTls).unwrap();
            let rows = client.query(sessions, &[]).unwrap();
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
async fn a_server_that_stands_still_keeps_nobody_from_stopping() {
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
    let ended = ends(process).await;
    drop(frozen);
    assert_eq!(ended.code(), Some(0));
}
