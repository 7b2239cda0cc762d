//! Backups while customers place orders.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::json;
use shop::{
    infra::backup::Place,
    server::backup::{Target, back_up},
};
use tokio::sync::oneshot;

use super::*;
use crate::support::{Remote, report, sqlite_test};

const CUSTOMERS: usize = 6;

/// How many orders are acknowledged before the first backup, and between two.
const ORDERS: usize = 20;

/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The ids of the acknowledged orders, in hexadecimal.
type Acknowledged = Arc<Mutex<BTreeSet<String>>>;

/// How long the slowest checkout of a period has waited for its response.
type Slowest = Arc<Mutex<Duration>>;

/// Places orders until `stop` is set.
async fn place_orders(
    customer: Remote,
    product: String,
    acknowledged: Acknowledged,
    slowest: Slowest,
    stop: Arc<AtomicBool>,
) {
    for turn in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let added = customer
            .post("/cart", &json!({ "productId": product }))
            .await;
        assert_eq!(added.status, 200, "{added:?}");
        let started = Instant::now();
        let placed = customer
            .check_out_once(&format!("key-{turn}"))
            .await
            .unwrap();
        assert_eq!(placed.status, 201, "{placed:?}");
        let waited = started.elapsed();
        let mut slowest = slowest.lock().unwrap();
        *slowest = waited.max(*slowest);
        drop(slowest);
        let id = placed.text("/id").replace('-', "");
        acknowledged.lock().unwrap().insert(id);
    }
}

storage_test! {
    async fn a_backup_under_load_has_every_order_acknowledged_before_it(site: Site) {
        let product = site.product("Kettle", 129_900, 1_000_000);
        let process = site.start();
        let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
        let slowest = Slowest::default();
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            let customer = Remote::new(&process).registered(&format!("customer{number}")).await;
            customers.push(tokio::spawn(place_orders(
                customer,
                product.clone(),
                Arc::clone(&acknowledged),
                Arc::clone(&slowest),
                Arc::clone(&stop),
            )));
        }
        let site = Arc::new(site);
        let directory = tempfile::tempdir().unwrap();
        for round in 1..=3 {
            let deadline = Instant::now() + TIMEOUT;
            while acknowledged.lock().unwrap().len() < round * ORDERS {
                assert!(Instant::now() < deadline, "the customers make no progress");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let before = acknowledged.lock().unwrap().clone();
            let file = directory.path().join(format!("{round}.tar.gz"));
            let file = file.to_str().unwrap().to_owned();
            let target = directory.path().join(format!("restored-{round}"));
            let (site, slowest) = (Arc::clone(&site), Arc::clone(&slowest));
            let restored = tokio::task::spawn_blocking(move || {
                let without = std::mem::take(&mut *slowest.lock().unwrap());
                succeeds(&site.run(&["backup", &file]));
                let during = std::mem::take(&mut *slowest.lock().unwrap());
                report(&format!("slowest checkout: {during:?} during a backup, {without:?} before it"));
                succeeds(&run(&target, &["restore", &file]));
                succeeds(&run(&target, &["verify"]));
                RawDb::open(&target, None).rows("SELECT lower(hex(id)) FROM orders")
            });
            let restored = restored.await.unwrap();
            let restored: BTreeSet<String> = restored.into_iter().filter_map(|mut row| row.remove(0)).collect();
            let missing: Vec<_> = before.difference(&restored).collect();
            assert!(missing.is_empty(), "{missing:?} of {}", before.len());
        }
        stop.store(true, Ordering::SeqCst);
        for customer in customers {
            customer.await.unwrap();
        }
        process.terminate();
        assert!(process.wait().success());
    }
}

sqlite_test! {
    async fn writes_do_not_wait_for_a_backup(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 1000).await;
        let ada = shop.customer("ada").await;
        ada.place_order(&kettle, 1).await;
        // Longer than one step of the copy.
        shop.raw_db().run("INSERT INTO settings (name, value) VALUES ('filler', hex(zeroblob(8000000)))");
        let directory = tempfile::tempdir().unwrap();
        let target = Target::File(Place::directory(directory.path()).unwrap(), "shop.tar.gz".to_owned());
        let (reached, copying) = oneshot::channel();
        let (resume, resumed) = std::sync::mpsc::channel();
        let mut reached = Some(reached);
        let pause = move |step, done, total| {
            if step == "database" && done < total && let Some(reached) = reached.take() {
                reached.send(()).unwrap();
                resumed.recv_timeout(TIMEOUT).unwrap();
            }
        };
        let (config, now) = (shop.app.config.clone(), shop.app.clock.now());
        let backup = tokio::spawn(async move { back_up(&config, target, now, pause).await });
        let copying = tokio::time::timeout(TIMEOUT, copying).await;
        copying.expect("the database is copied in several steps").unwrap();
        for _ in 0..200 {
            ada.place_order(&kettle, 1).await;
        }
        resume.send(()).unwrap();
        let made = backup.await.unwrap().unwrap();
        assert_eq!(made.orders, 1, "those that were acknowledged before it began");
        assert_eq!(shop.orders(), 201);
        let restored = tempfile::tempdir().unwrap();
        let file = directory.path().join("shop.tar.gz");
        succeeds(&run(restored.path(), &["restore", file.to_str().unwrap()]));
        succeeds(&run(restored.path(), &["verify"]));
    }
}
