//! The program itself, several times on one database: how instances join, and who may not.

use std::{process::Output, sync::Arc};

use crate::support::{Database, Engine, Process, Remote, Site, postgres_test};

/// Why a server did not come up: one line.
#[track_caller]
fn refusal(ended: &Output) -> String {
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

async fn is_ready(process: &Process) {
    let ready = reqwest::get(format!("{}/readyz", process.url))
        .await
        .unwrap();
    assert_eq!(ready.status(), 200);
}

postgres_test! {
    async fn an_instance_with_pictures_of_its_own_may_not_join(site: Site) {
        let first = site.start();
        let stranger = site.apart();
        let why = refusal(&stranger.refuses_to_start(&[]));
        assert!(why.contains("`images/`"), "{why}");
        assert!(why.contains("shared volume"), "{why}");
        is_ready(&first).await;

        let friend = site.beside();
        let second = friend.start();
        is_ready(&second).await;
        refusal(&stranger.refuses_to_start(&[]));

        // Whoever is left counts, however the other went.
        first.kill();
        refusal(&stranger.refuses_to_start(&[]));
        second.kill();
        let third = stranger.start();
        is_ready(&third).await;
        let why = refusal(&site.refuses_to_start(&[]));
        assert!(why.contains("`images/`"), "{why}");
        third.terminate();
        assert_eq!(third.wait().code(), Some(0));
        is_ready(&site.start()).await;
    }

    async fn a_command_is_an_instance_too(site: Site) {
        let kettle = site.product("Kettle", 129_900, 5);
        let running = site.start();
        let change = ["admin", "product", "stock", &kettle, "-1", "--reason", "broken"];
        for left in [4, 3] {
            let changed = site.beside().run(&change);
            assert!(changed.status.success(), "{changed:?}");
            let shown = Remote::new(&running).get(&format!("/products/{kettle}")).await;
            assert_eq!(shown.number("/stockQuantity"), left);
        }
    }

    async fn an_instance_with_another_currency_may_not_join(site: Site) {
        let first = site.start();
        let second = site.beside();
        let why = exited(&second.refuses_to_start(&[("SHOP_CURRENCY", "EUR")]), 2);
        assert!(why.contains("INR") && why.contains("EUR"), "{why}");
        assert!(why.contains("`SHOP_CURRENCY=INR`"), "{why}");
        is_ready(&first).await;
        is_ready(&second.start()).await;
    }

    async fn what_one_process_acknowledged_is_there_for_the_others(site: Site) {
        let kettle = site.product("Kettle", 129_900, 50);
        let (first, second) = (site.start(), site.beside());
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
        site.raw_db().assert_sound();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_that_start_at_once_on_an_empty_database_all_serve() {
    let Some(database) = Database::empty() else {
        return;
    };
    let first = Site::of(Engine::Postgres, Some(Arc::new(database)));
    let sites = [first.beside(), first.beside(), first.beside()];
    let processes: Vec<Process> = std::thread::scope(|scope| {
        let starts = sites.each_ref().map(|site| scope.spawn(|| site.start()));
        starts.map(|start| start.join().unwrap()).into()
    });
    for process in &processes {
        is_ready(process).await;
    }
    let raw = first.raw_db();
    let (steps, versions) = (
        raw.number("SELECT count(*) FROM refinery_schema_history"),
        raw.number("SELECT count(DISTINCT version) FROM refinery_schema_history"),
    );
    assert_eq!(steps, versions, "each step was taken once");
    assert_eq!(
        raw.number("SELECT value FROM kept_counts WHERE name = 'products'"),
        0
    );

    // They are one shop: one secret, one stock.
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
    raw.assert_sound();
}
