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

use super::*;
use crate::support::Remote;

const CUSTOMERS: usize = 6;

/// How many orders are acknowledged before the first backup, and between two.
const ORDERS: usize = 20;

/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The ids of the acknowledged orders, in hexadecimal.
type Acknowledged = Arc<Mutex<BTreeSet<String>>>;

/// Places orders until `stop` is set.
async fn place_orders(
    customer: Remote,
    product: String,
    acknowledged: Acknowledged,
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
        let placed = customer
            .check_out_once(&format!("key-{turn}"))
            .await
            .unwrap();
        assert_eq!(placed.status, 201, "{placed:?}");
        let id = placed.text("/id").replace('-', "");
        acknowledged.lock().unwrap().insert(id);
    }
}

storage_test! {
    async fn a_backup_under_load_has_every_order_acknowledged_before_it(site: Site) {
        let product = site.product("Kettle", 129_900, 1_000_000);
        let process = site.start();
        let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            let customer = Remote::new(&process).registered(&format!("customer{number}")).await;
            customers.push(tokio::spawn(place_orders(
                customer,
                product.clone(),
                Arc::clone(&acknowledged),
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
            let site = Arc::clone(&site);
            let restored = tokio::task::spawn_blocking(move || {
                succeeds(&site.run(&["backup", &file]));
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
