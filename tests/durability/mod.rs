//! Durability of the real program: crashes, shutdown, failing disks, and locks.

mod disk_full;
mod fsync;
mod kill;
mod lock;
mod power_loss;
mod stop;
mod sync;

use std::{
    path::Path,
    process::Command,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use shop::server::DataDir;

use crate::support::{Process, RawDb, Remote, add_product, create_shop, ends, run};

/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Adds a product by the command line, and creates the shop if missing. Returns the product's id.
fn product(directory: &Path, name: &str, price: i64, stock: i64) -> String {
    if !directory.join("shop.db").exists() {
        create_shop(directory);
    }
    add_product(|arguments| run(directory, arguments), name, price, stock)
}

/// Adds one unit of a product to the cart.
async fn put(customer: &Remote, product: &str) -> reqwest::Result<()> {
    let answer = customer
        .try_post("/cart", &json!({ "productId": product }))
        .await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_has_one_server() {
    let directory = tempfile::tempdir().unwrap();
    let kettle = product(directory.path(), "Kettle", 129_900, 5);
    let first = Process::start(directory.path());

    let mut second = Command::new(env!("CARGO_BIN_EXE_shop"));
    second
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory.path());
    let refused = ends(second);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&refused.stdout), "");
    let why = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(why.lines().count(), 1, "{why}");
    assert!(
        why.starts_with("error: another server is running on"),
        "{why}"
    );
    assert!(
        why.contains(&directory.path().display().to_string()),
        "{why}"
    );
    assert!(
        why.contains(&first.url) && why.contains(&first.pid().to_string()),
        "{why}"
    );

    let ada = Remote::new(&first).registered("ada").await;
    put(&ada, &kettle).await.unwrap();
    assert_eq!(ada.check_out_once("key-1").await.unwrap().status, 201);
    first.kill();
    let third = Process::start(directory.path());
    let again = ada.at(&third).check_out_once("key-1").await.unwrap();
    assert_eq!(
        again.header("idempotent-replayed"),
        Some("true"),
        "the lock was released with the process"
    );
}

#[test]
fn reading_the_lock_does_not_block_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(directory.path()).unwrap();
    let (done, ready) = (AtomicBool::new(false), Barrier::new(3));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                ready.wait();
                while !done.load(Ordering::SeqCst) {
                    assert_eq!(
                        data_dir.running_server().unwrap(),
                        None,
                        "no server has announced its address"
                    );
                    std::thread::yield_now();
                }
            });
        }
        ready.wait();
        for _ in 0..300 {
            let locked = data_dir.lock().map(drop);
            done.store(locked.is_err(), Ordering::SeqCst);
            locked.unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn the_lock_reports_its_current_holder_only() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(directory.path()).unwrap();
    assert_eq!(data_dir.running_server().unwrap(), None);
    let mut first = data_dir.lock().unwrap();
    first
        .announce("http://127.0.0.1:1", "https://shop.example")
        .unwrap();
    let holder = data_dir.running_server().unwrap().unwrap();
    assert_eq!(
        (
            holder.pid,
            holder.url.as_str(),
            holder.public_url.as_deref()
        ),
        (
            std::process::id(),
            "http://127.0.0.1:1",
            Some("https://shop.example")
        )
    );
    drop(first);
    assert_eq!(data_dir.running_server().unwrap(), None);
    let _second = data_dir.lock().unwrap();
    assert_eq!(
        data_dir.running_server().unwrap(),
        None,
        "not listening yet"
    );
}
