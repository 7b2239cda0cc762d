//! The publisher: sequence numbers have no gaps and no duplicates, despite late commits, lost connections and
//! missed notifications.

use std::time::Duration;

use serde_json::{Value, json};
use shop::{
    core::{
        clock::Clock,
        error::Kind,
        event::{Event, StockChange},
        id::ProductId,
        rng::Rng,
    },
    infra::{
        bus,
        db::{Db, Location},
    },
};

use crate::support::{
    Client, Cluster, RawDb, context,
    live::{ReceivedUpdates, Served},
    on_a_thread, options, postgres_test,
};

mod model;

/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Returns the INSERT of an event with the stock of a product.
fn insert_event(product: &str, stock: i64) -> String {
    let changes = json!([{ "id": product, "stockQuantity": stock }]);
    format!("INSERT INTO fresh_events (at, changes) VALUES (1769860800000, '{changes}')")
}

/// Returns the stock of an update with one product.
fn stock(update: &Value) -> i64 {
    assert_eq!(update["products"].as_array().unwrap().len(), 1, "{update}");
    update["products"][0]["stockQuantity"].as_i64().unwrap()
}

/// Terminates the connections of all publishers of the database. Returns their number.
fn terminate_publishers(raw: &RawDb) -> i64 {
    raw.number(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks
         WHERE locktype = 'advisory' AND objsubid = 2 AND pid <> pg_backend_pid()
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
}

postgres_test! {
    async fn an_event_that_commits_late_gets_a_later_number(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        let other = shop.another_instance().await;
        let served = [Served::start(&shop).await, Served::start(&other).await];
        let mut listeners = Vec::new();
        for one in &served {
            listeners.push((one.listen("").await.0, ReceivedUpdates::since(1)));
        }
        let late = shop.raw_db();
        late.run("BEGIN");
        late.run(&insert_event(&kettle, 7));
        for _ in 0..3 {
            ada.place_order(&kettle, 1).await;
        }
        for (listener, received) in &mut listeners {
            listener.follow(received, 4).await;
            assert_eq!(received.updates.iter().map(stock).collect::<Vec<_>>(), [99, 98, 97]);
        }
        // Nothing waits for the open transaction, not even a greeting.
        assert_eq!(served[1].listen("").await.1["seq"], 4);
        late.release();
        for (listener, received) in &mut listeners {
            listener.follow(received, 5).await;
            assert_eq!(stock(&received.updates[3]), 7);
        }
        ada.on(&other).place_order(&kettle, 1).await;
        for (listener, received) in &mut listeners {
            listener.follow(received, 6).await;
            assert_eq!(stock(&received.updates[4]), 96);
        }
        // A replay returns the same events.
        for one in &served {
            let mut again = ReceivedUpdates::since(1);
            one.resume(&again).await.follow(&mut again, 6).await;
            assert_eq!(again.updates, listeners[0].1.updates);
        }
        for one in served {
            one.stopped().await;
        }
    }

    async fn a_rollback_leaves_no_gap(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        let rolled_back = shop.raw_db();
        rolled_back.run("BEGIN");
        rolled_back.run(&insert_event(&kettle, 7));
        ada.place_order(&kettle, 1).await;
        rolled_back.run("ROLLBACK");
        ada.place_order(&kettle, 1).await;
        let mut received = ReceivedUpdates::since(1);
        listener.follow(&mut received, 3).await;
        assert_eq!(received.updates.iter().map(stock).collect::<Vec<_>>(), [99, 98]);
        served.stopped().await;
    }

    async fn an_event_without_a_notification_is_found_by_polling(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let other = shop.another_instance().await;
        let served = [Served::start(&shop).await, Served::start(&other).await];
        let mut listeners = Vec::new();
        for one in &served {
            listeners.push((one.listen("").await.0, ReceivedUpdates::since(1)));
        }
        let raw = shop.raw_db();
        for number in 1..=3 {
            raw.run(&insert_event(&kettle, number));
            for (listener, received) in &mut listeners {
                listener.follow(received, 1 + number).await;
                assert_eq!(received.stock[&kettle], number);
            }
        }
        for one in served {
            one.stopped().await;
        }
    }

    async fn changes_by_a_command_are_published_on_every_instance(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let other = shop.another_instance().await;
        let served = [Served::start(&shop).await, Served::start(&other).await];
        let mut listeners = Vec::new();
        for one in &served {
            listeners.push(one.listen("").await.0);
        }
        let arguments = ["admin", "product", "stock", &kettle, "-7", "--reason", "broken"];
        let done = shop.run(&arguments);
        assert!(done.status.success(), "{done:?}");
        for listener in &mut listeners {
            let mut received = ReceivedUpdates::since(1);
            listener.follow(&mut received, 2).await;
            assert_eq!(received.stock[&kettle], 43);
        }
        for one in served {
            one.stopped().await;
        }
    }

    async fn events_of_a_product_keep_their_order_under_contention(shop: TestShop) {
        let other = shop.another_instance().await;
        let kettle = shop.product("Kettle", 129_900, 10_000).await;
        let mug = shop.product("Mug", 30_000, 10_000).await;
        let served = Served::start(&other).await;
        let (mut listener, _) = served.listen("").await;
        // Each customer orders a different quantity, which identifies the order.
        let mut customers = Vec::new();
        for quantity in 1..=40 {
            let customer = shop.customer(&format!("customer{quantity}")).await;
            customer.add_to_cart(&kettle, quantity).await;
            customer.add_to_cart(&mug, 100 + quantity).await;
            customers.push(customer.on(if quantity % 2 == 0 { &shop } else { &other }));
        }
        let placed =
            futures_util::future::join_all(customers.iter().map(Client::checkout)).await;
        assert!(placed.iter().all(|answer| answer.status == 201));
        let mut received = ReceivedUpdates::since(2);
        listener.follow(&mut received, 42).await;
        for (product, more) in [(&kettle, 0), (&mug, 100)] {
            let mut before = 10_000;
            let mut taken: Vec<_> = received
                .updates
                .iter()
                .flat_map(|update| update["products"].as_array().unwrap())
                .filter(|change| change["id"] == product.as_str())
                .map(|change| {
                    let left = change["stockQuantity"].as_i64().unwrap();
                    std::mem::replace(&mut before, left) - left
                })
                .collect();
            taken.sort_unstable();
            assert_eq!(taken, (1 + more..=40 + more).collect::<Vec<_>>(), "one change per order");
            assert_eq!(before, shop.stock(product).await);
        }
        served.stopped().await;
    }

    async fn a_publisher_reconnects(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        let served = Served::start(&shop).await;
        let mut received = ReceivedUpdates::since(1);
        let (mut listener, _) = served.listen("").await;
        let raw = shop.raw_db();
        for turn in 0..2 {
            ada.place_order(&kettle, 1).await;
            assert_eq!(terminate_publishers(&raw), 1);
            for _ in 0..3 {
                ada.place_order(&kettle, 1).await;
            }
            listener.follow(&mut received, 5 + 4 * turn).await;
            assert_eq!(received.stock[&kettle], 96 - 4 * turn);
        }
        assert_eq!(terminate_publishers(&raw), 1, "it has reconnected");
        let again = served.resume(&ReceivedUpdates::default()).await;
        again.leave().await;
        served.stopped().await;
    }

    async fn publishers_replace_each_other_when_connections_break(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 1000).await;
        let other = shop.another_instance().await;
        let served = [Served::start(&shop).await, Served::start(&other).await];
        let mut listeners = Vec::new();
        for one in &served {
            listeners.push((one.listen("").await.0, ReceivedUpdates::since(1)));
        }
        let mut customers = Vec::new();
        for number in 0..8 {
            let shop = if number % 2 == 0 { &shop } else { &other };
            customers.push(shop.customer(&format!("customer{number}")).await);
        }
        let raw = shop.raw_db();
        let ordering = customers.iter().map(|customer| async {
            for _ in 0..6 {
                customer.place_order(&kettle, 1).await;
            }
        });
        let breaking = async {
            for _ in 0..20 {
                terminate_publishers(&raw);
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(futures_util::future::join_all(ordering), breaking);
        for (listener, received) in &mut listeners {
            listener.follow(received, 49).await;
            assert_eq!(received.stock[&kettle], 952);
        }
        for one in served {
            one.stopped().await;
        }
        shop.raw_db().assert_invariants();
    }

    async fn flushing_events_of_a_closed_database_is_unavailable(store: TestStore) {
        let other = store.another_instance().await;
        store.db.flush_events().await.unwrap();
        store.db.close().await;
        let flushed = tokio::time::timeout(TIMEOUT, store.db.flush_events()).await;
        assert_eq!(flushed.expect("it returns").unwrap_err().kind(), Kind::Unavailable);
        other.db.flush_events().await.unwrap();
    }
}

/// Opens a database on this server and emits 20 events.
async fn open_with_events(cluster: &Cluster) -> Db {
    let location = Location::parse(&cluster.url("postgres")).unwrap();
    let opened = Db::open(location, options(), context(Clock::system(), Rng::system())).await;
    let db = opened.unwrap();
    for stock in 1..=20 {
        emit(&db, stock).await;
        db.flush_events().await.unwrap();
    }
    db
}

async fn emit(db: &Db, stock: i64) {
    let change = StockChange::now(ProductId(uuid::Uuid::nil()), stock);
    let event = Event::Inventory(vec![change]);
    let written = db.write("test.emit", move |tx| tx.emit(&event)).await;
    written.unwrap();
}

async fn head(db: &Db) -> i64 {
    db.read("test.head", bus::head).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_numbers_survive_a_server_crash() {
    // The server's defaults acknowledge commits long before they are flushed.
    let settings = [("synchronous_commit", "off"), ("wal_writer_delay", "10s")];
    let Some(cluster) = Cluster::start(&settings) else {
        return;
    };
    let db = open_with_events(&cluster).await;
    assert_eq!(head(&db).await, 20);
    cluster.stop();
    // No publisher runs that could number the events again.
    db.close().await;
    cluster.restart();
    let url = cluster.url("postgres");
    let kept: i64 = on_a_thread(|| {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        let row = client.query_one("SELECT count(*) FROM events", &[]);
        row.unwrap().get(0)
    });
    assert_eq!(kept, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushing_events_does_not_hang_if_the_server_is_lost() {
    let Some(cluster) = Cluster::start(&[]) else {
        return;
    };
    let db = open_with_events(&cluster).await;
    cluster.stop();
    for _ in 0..2 {
        let flushed = tokio::time::timeout(TIMEOUT, db.flush_events()).await;
        assert_eq!(
            flushed.expect("it returns").unwrap_err().kind(),
            Kind::Unavailable
        );
    }
    cluster.restart();
    let recovered = async { while db.flush_events().await.is_err() {} };
    tokio::time::timeout(TIMEOUT, recovered)
        .await
        .expect("it recovers");
    emit(&db, 21).await;
    db.flush_events().await.unwrap();
    assert_eq!(head(&db).await, 21);
    db.close().await;
}
