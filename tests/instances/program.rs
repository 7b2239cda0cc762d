//! Several processes on one database: which may start, and what they share.

use std::{process::Output, sync::Arc};

use crate::support::{Database, Engine, Process, Remote, Site, postgres_test};

/// Returns the one-line error of a server that failed to start.
#[track_caller]
fn start_error(ended: &Output) -> String {
    exited(ended, 1)
}

#[track_caller]
fn exited(ended: &Output, code: i32) -> String {
    assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "");
    let why = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(why.lines().count(), 1, "{why}");
    assert!(why.starts_with("error: "), "{why}");
    why
}

async fn assert_ready(process: &Process) {
    let ready = reqwest::get(format!("{}/readyz", process.url))
        .await
        .unwrap();
    assert_eq!(ready.status(), 200);
}

postgres_test! {
    async fn an_instance_with_another_image_folder_cannot_start(site: Site) {
        let first = site.start();
        let stranger = site.with_own_images();
        let why = start_error(&stranger.refuses_to_start(&[]));
        assert!(why.contains("`images/`"), "{why}");
        assert!(why.contains("shared volume"), "{why}");
        assert_ready(&first).await;

        let friend = site.another_instance();
        let second = friend.start();
        assert_ready(&second).await;
        start_error(&stranger.refuses_to_start(&[]));

        // The remaining instance counts, even after the other was killed.
        first.kill();
        start_error(&stranger.refuses_to_start(&[]));
        second.kill();
        let third = stranger.start();
        assert_ready(&third).await;
        let why = start_error(&site.refuses_to_start(&[]));
        assert!(why.contains("`images/`"), "{why}");
        third.terminate();
        assert_eq!(third.wait().code(), Some(0));
        assert_ready(&site.start()).await;
    }

    async fn a_command_works_while_a_server_runs(site: Site) {
        let kettle = site.product("Kettle", 129_900, 5);
        let running = site.start();
        let change = ["admin", "product", "stock", &kettle, "-1", "--reason", "broken"];
        for left in [4, 3] {
            let changed = site.another_instance().run(&change);
            assert!(changed.status.success(), "{changed:?}");
            let shown = Remote::new(&running).get(&format!("/products/{kettle}")).await;
            assert_eq!(shown.number("/stockQuantity"), left);
        }
    }

    async fn an_instance_with_another_currency_cannot_start(site: Site) {
        let first = site.start();
        let second = site.another_instance();
        let why = exited(&second.refuses_to_start(&[("SHOP_CURRENCY", "EUR")]), 2);
        assert!(why.contains("INR") && why.contains("EUR"), "{why}");
        assert!(why.contains("`SHOP_CURRENCY=INR`"), "{why}");
        assert_ready(&first).await;
        assert_ready(&second.start()).await;
    }

    async fn orders_of_a_killed_process_are_available_on_another(site: Site) {
        let kettle = site.product("Kettle", 129_900, 50);
        let (first, second) = (site.start(), site.another_instance());
        let second = second.start();
        let ada = Remote::new(&first).registered("ada").await;
        let body = serde_json::json!({ "productId": kettle });
        assert_eq!(ada.post("/cart", &body).await.status, 200);
        let placed = ada.check_out_once("key-1").await.unwrap();
        assert_eq!(placed.status, 201, "{placed:?}");
        first.kill();
        let ada = ada.at(&second);
        let again = ada.check_out_once("key-1").await.unwrap();
        assert_eq!((again.status, &again.body), (201, &placed.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        site.raw_db().assert_invariants();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_instances_start_concurrently_on_an_empty_database() {
    let Some(database) = Database::empty() else {
        return;
    };
    let first = Site::of(Engine::Postgres, Some(Arc::new(database)));
    let sites = [
        first.another_instance(),
        first.another_instance(),
        first.another_instance(),
    ];
    let processes: Vec<Process> = std::thread::scope(|scope| {
        let starts = sites.each_ref().map(|site| scope.spawn(|| site.start()));
        starts.map(|start| start.join().unwrap()).into()
    });
    for process in &processes {
        assert_ready(process).await;
    }
    let raw = first.raw_db();
    let (migrations, versions) = (
        raw.number("SELECT count(*) FROM refinery_schema_history"),
        raw.number("SELECT count(DISTINCT version) FROM refinery_schema_history"),
    );
    assert_eq!(migrations, versions, "each migration ran once");
    assert_eq!(
        raw.number("SELECT value FROM kept_counts WHERE name = 'products'"),
        0
    );

    // They share secrets and stock.
    let kettle = first.product("Kettle", 129_900, 50);
    let ada = Remote::new(&processes[0]).registered("ada").await;
    for (number, process) in processes.iter().enumerate() {
        let ada = ada.at(process);
        let body = serde_json::json!({ "productId": kettle });
        assert_eq!(ada.post("/cart", &body).await.status, 200);
        let placed = ada.check_out_once(&format!("key-{number}")).await.unwrap();
        assert_eq!(placed.status, 201, "{placed:?}");
    }
    let shown = Remote::new(&processes[2])
        .get(&format!("/products/{kettle}"))
        .await;
    assert_eq!(shown.number("/stockQuantity"), 47);
    raw.assert_invariants();
}
