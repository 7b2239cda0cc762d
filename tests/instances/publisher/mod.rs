//! How committed events get their numbers: whatever commits late, is lost on the way or is told by
//! nobody, no number is missing and no event stands there twice.

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
    Client, Cluster, RawDb,
    live::{Heard, Served},
    on_a_thread, options, postgres_test,
};

mod model;

/// How long an answer may take that must come; past it the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The statement by which any program leaves an event: so many of a product are in stock.
fn leave(product: &str, stock: i64) -> String {
    let changes = json!([{ "id": product, "stockQuantity": stock }]);
    format!("INSERT INTO fresh_events (at, changes) VALUES (1769860800000, '{changes}')")
}

/// What an update says of its one product.
fn stock(update: &Value) -> i64 {
    assert_eq!(update["products"].as_array().unwrap().len(), 1, "{update}");
    update["products"][0]["stockQuantity"].as_i64().unwrap()
}

/// Breaks the connection of every publisher on the database; tells how many there were.
fn break_publishers(raw: &RawDb) -> i64 {
    raw.number(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks
         WHERE locktype = 'advisory' AND objsubid = 2 AND pid <> pg_backend_pid()
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
}

postgres_test! {
    async fn what_commits_late_is_told_late(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        let other = shop.another().await;
        let served = [Served::start(&shop).await, Served::start(&other).await];
        let mut listeners = Vec::new();
        for one in &served {
            listeners.push((one.listen("").await.0, Heard::since(1)));
        }
        let late = shop.raw_db();
        late.run("BEGIN");
        late.run(&leave(&kettle, 7));
        for _ in 0..3 {
            ada.place_order(&kettle, 1).await;
        }
        for (listener, heard) in &mut listeners {
            listener.follow(heard, 4).await;
            assert_eq!(heard.updates.iter().map(stock).collect::<Vec<_>>(), [99, 98, 97]);
        }
        // Nobody waits for it, not even a greeting.
        assert_eq!(served[1].listen("").await.1["seq"], 4);
        late.let_go();
        for (listener, heard) in &mut listeners {
            listener.follow(heard, 5).await;
            assert_eq!(stock(&heard.updates[3]), 7);
        }
        ada.on(&other).place_order(&kettle, 1).await;
        for (listener, heard) in &mut listeners {
            listener.follow(heard, 6).await;
            assert_eq!(stock(&heard.updates[4]), 96);
        }
        // A replay tells the same.
        for one in &served {
            let mut again = Heard::since(1);
            one.resume(&again).await.follow(&mut again, 6).await;
            assert_eq!(again.updates, listeners[0].1.updates);
        }
        for one in served {
            one.stopped().await;
        }
    }

    async fn what_is_undone_late_leaves_no_gap(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        let undone = shop.raw_db();
        undone.run("BEGIN");
        undone.run(&leave(&kettle, 7));
        ada.place_order(&kettle, 1).await;
        undone.run("ROLLBACK");
        ada.place_order(&kettle, 1).await;
        let mut heard = Heard::since(1);
        listener.follow(&mut heard, 3).await;
        assert_eq!(heard.updates.iter().map(stock).collect::<Vec<_>>(), [99, 98]);
        served.stopped().await;
    }

    async fn what_nobody_told_of_is_found(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let other = shop.another().await;
        let served = [Served::start(&shop).await, Served::start(&other).await];
        let mut listeners = Vec::new();
        for one in &served {
            listeners.push((one.listen("").await.0, Heard::since(1)));
        }
        let raw = shop.raw_db();
        for number in 1..=3 {
            raw.run(&leave(&kettle, number));
            for (listener, heard) in &mut listeners {
                listener.follow(heard, 1 + number).await;
                assert_eq!(heard.stock[&kettle], number);
            }
        }
        for one in served {
            one.stopped().await;
        }
    }

    async fn what_a_command_writes_is_heard_on_every_instance(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let other = shop.another().await;
        let served = [Served::start(&shop).await, Served::start(&other).await];
        let mut listeners = Vec::new();
        for one in &served {
            listeners.push(one.listen("").await.0);
        }
        let arguments = ["admin", "product", "stock", &kettle, "-7", "--reason", "broken"];
        let done = shop.run(&arguments);
        assert!(done.status.success(), "{done:?}");
        for listener in &mut listeners {
            let mut heard = Heard::since(1);
            listener.follow(&mut heard, 2).await;
            assert_eq!(heard.stock[&kettle], 43);
        }
        for one in served {
            one.stopped().await;
        }
    }

    async fn a_products_events_keep_its_order_under_contention(shop: TestShop) {
        let other = shop.another().await;
        let kettle = shop.product("Kettle", 129_900, 10_000).await;
        let mug = shop.product("Mug", 30_000, 10_000).await;
        let served = Served::start(&other).await;
        let (mut listener, _) = served.listen("").await;
        // Everybody takes another quantity, by which the order is known again.
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
        let mut heard = Heard::since(2);
        listener.follow(&mut heard, 42).await;
        for (product, more) in [(&kettle, 0), (&mug, 100)] {
            let mut before = 10_000;
            let mut taken: Vec<_> = heard
                .updates
                .iter()
                .flat_map(|update| update["products"].as_array().unwrap())
                .filter(|told| told["id"] == product.as_str())
                .map(|told| {
                    let left = told["stockQuantity"].as_i64().unwrap();
                    std::mem::replace(&mut before, left) - left
                })
                .collect();
            taken.sort_unstable();
            assert_eq!(taken, (1 + more..=40 + more).collect::<Vec<_>>(), "each order's step");
            assert_eq!(before, shop.stock(product).await);
        }
        served.stopped().await;
    }

    async fn a_publisher_that_lost_its_connection_goes_on(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        let served = Served::start(&shop).await;
        let mut heard = Heard::since(1);
        let (mut listener, _) = served.listen("").await;
        let raw = shop.raw_db();
        for turn in 0..2 {
            ada.place_order(&kettle, 1).await;
            assert_eq!(break_publishers(&raw), 1);
            for _ in 0..3 {
                ada.place_order(&kettle, 1).await;
            }
            listener.follow(&mut heard, 5 + 4 * turn).await;
            assert_eq!(heard.stock[&kettle], 96 - 4 * turn);
        }
        assert_eq!(break_publishers(&raw), 1, "it is there again");
        let again = served.resume(&Heard::default()).await;
        again.leave().await;
        served.stopped().await;
    }

    async fn while_one_publisher_is_gone_another_numbers(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 1000).await;
        let other = shop.another().await;
        let served = [Served::start(&shop).await, Served::start(&other).await];
        let mut listeners = Vec::new();
        for one in &served {
            listeners.push((one.listen("").await.0, Heard::since(1)));
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
                break_publishers(&raw);
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(futures_util::future::join_all(ordering), breaking);
        for (listener, heard) in &mut listeners {
            listener.follow(heard, 49).await;
            assert_eq!(heard.stock[&kettle], 952);
        }
        for one in served {
            one.stopped().await;
        }
        shop.raw_db().assert_sound();
    }

    async fn who_asks_for_numbers_of_a_closed_shop_is_told_so(store: TestStore) {
        let other = store.another().await;
        store.db.flush_events().await.unwrap();
        store.db.close().await;
        let asked = tokio::time::timeout(PATIENCE, store.db.flush_events()).await;
        assert_eq!(asked.expect("left waiting").unwrap_err().kind(), Kind::Unavailable);
        other.db.flush_events().await.unwrap();
    }
}

/// A shop's database on a server of its own, with events in it.
async fn opened(cluster: &Cluster) -> Db {
    let location = Location::parse(&cluster.url("postgres")).unwrap();
    let opened = Db::open(location, options(), Clock::system(), Rng::system()).await;
    let db = opened.unwrap();
    for stock in 1..=20 {
        emit(&db, stock).await;
        db.flush_events().await.unwrap();
    }
    db
}

async fn emit(db: &Db, stock: i64) {
    let change = StockChange::now(ProductId(uuid::Uuid::nil()), stock);
    let told = Event::Inventory(vec![change]);
    let written = db.write("test.emit", move |tx| tx.emit(&told)).await;
    written.unwrap();
}

async fn head(db: &Db) -> i64 {
    db.read("test.head", bus::head).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_was_heard_outlives_the_servers_power() {
    // It acknowledges before it has synced, and then takes its time.
    let settings = [("synchronous_commit", "off"), ("wal_writer_delay", "10s")];
    let Some(cluster) = Cluster::start(&settings) else {
        return;
    };
    let db = opened(&cluster).await;
    assert_eq!(head(&db).await, 20);
    cluster.stop();
    // Nobody is there to number once more what was numbered.
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
async fn nobody_is_left_waiting_for_a_database_that_is_gone() {
    let Some(cluster) = Cluster::start(&[]) else {
        return;
    };
    let db = opened(&cluster).await;
    cluster.stop();
    for _ in 0..2 {
        let asked = tokio::time::timeout(PATIENCE, db.flush_events()).await;
        assert_eq!(
            asked.expect("left waiting").unwrap_err().kind(),
            Kind::Unavailable
        );
    }
    cluster.restart();
    let healed = async { while db.flush_events().await.is_err() {} };
    tokio::time::timeout(PATIENCE, healed)
        .await
        .expect("it does not heal");
    emit(&db, 21).await;
    db.flush_events().await.unwrap();
    assert_eq!(head(&db).await, 21);
    db.close().await;
}
