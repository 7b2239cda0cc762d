//! The guarantees of the storage layer, on both engines.

mod jobs;
mod model;
mod pipeline;
mod rows;
mod writer;

use std::time::Duration;

use shop::{
    core::{
        clock::Clock,
        error::{Error, Kind, Result},
        event::{Event, StockChange},
        id::ProductId,
        rng::Rng,
    },
    infra::{
        bus::{self, Retention},
        db::{self, Location, Sql, Sqlite, Tx, migrate, params},
    },
};

use crate::support::{
    Engine, HeldWriter, PendingWrite, TestShop, TestStore, as_one_batch, begin, context, options,
    pending_write, sqlite_test, storage_test,
};

/// SQLite before 3.51.3 can lose a commit when the WAL is reset.
const _: () = assert!(rusqlite::ffi::SQLITE_VERSION_NUMBER >= 3_051_003);

/// Inserts a row; the name must be unused.
fn insert(tx: &mut Tx<'_>, name: &str, value: i64) -> Result<()> {
    tx.execute(
        "INSERT INTO kept_counts (name, value) VALUES (?1, ?2)",
        params![name, value],
    )
    .map(drop)
}

/// Adds to a row. Returns its new value.
fn add(tx: &mut Tx<'_>, name: &str, more: i64) -> Result<i64> {
    let value = tx.one(
        "INSERT INTO kept_counts (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = kept_counts.value + excluded.value RETURNING value",
        params![name, more],
        |row| row.get("value"),
    )?;
    Ok(value.unwrap())
}

fn value_of(tx: &mut Tx<'_>, name: &str) -> Result<Option<i64>> {
    tx.one(
        "SELECT value FROM kept_counts WHERE name = ?1",
        params![name],
        |row| row.get("value"),
    )
}

/// An event that is identified by its number.
fn event(number: i64) -> Event {
    Event::Inventory(vec![StockChange::now(ProductId(uuid::Uuid::nil()), number)])
}

/// Deletes the events that are not retained. Returns the size of each batch.
async fn delete_events(store: &TestStore, age: Duration, count: i64) -> Vec<u64> {
    let delete = move |tx: &mut Tx<'_>| bus::delete_old(tx, Retention { age, count });
    let mut batches = Vec::new();
    loop {
        match store.db.write("test.delete", delete).await.unwrap() {
            0 => return batches,
            deleted => batches.push(deleted),
        }
    }
}

fn refusal() -> Error {
    Error::new(Kind::Conflict("cart-empty"), "the operation is refused")
}

/// Runs a statement whose failure aborts the whole transaction. (On Postgres every failure does.)
fn abort_the_transaction(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute(
        Sql::either(
            "INSERT OR ROLLBACK INTO kept_counts (name, value) VALUES ('products', 0)",
            "SELECT 1 / 0",
        ),
        &[],
    )
    .map(drop)
}

/// Violates a foreign key. On SQLite the constraint is deferred, so that the COMMIT fails.
fn violate_foreign_key(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute(
        Sql::either("PRAGMA defer_foreign_keys = ON", "SELECT 1"),
        &[],
    )?;
    let missing = shop::infra::db::Value::Id(uuid::Uuid::nil());
    tx.execute(
        "INSERT INTO cart_lines (cart_id, variant_id, quantity, added_at) VALUES (?1, ?1, 1, 0)",
        &[missing],
    )
    .map(drop)
}

impl TestStore {
    async fn value(&self, name: &'static str) -> Option<i64> {
        let read = self.db.read("test.value", move |tx| value_of(tx, name));
        read.await.unwrap()
    }
}

storage_test! {
    async fn a_committed_write_is_visible_to_the_next_read(store: TestStore) {
        for number in 1..=100 {
            let sum = store.db.write("test.add", |tx| add(tx, "row", 1)).await.unwrap();
            assert_eq!(sum, number);
            assert_eq!(store.value("row").await, Some(number));
        }
    }

    async fn a_read_sees_one_snapshot(store: TestStore) {
        store.db.write("test.insert", |tx| insert(tx, "row", 1)).await.unwrap();
        let other = store.raw_db();
        let (before, after) = store
            .db
            .read("test.twice", move |tx| {
                let before = value_of(tx, "row")?;
                other.run("UPDATE kept_counts SET value = 2 WHERE name = 'row'");
                Ok((before, value_of(tx, "row")?))
            })
            .await
            .unwrap();
        assert_eq!((before, after), (Some(1), Some(1)));
        assert_eq!(store.value("row").await, Some(2));
    }

    async fn a_read_cannot_write(store: TestStore) {
        let before = store.raw_db().dump();
        let read = store.db.read("test.insert", |tx| insert(tx, "row", 1)).await;
        assert!(read.is_err());
        let scan = store.db.long_read("test.insert", |tx| insert(tx, "row", 1)).await;
        assert!(scan.is_err());
        assert_eq!(store.raw_db().dump(), before);
    }

    async fn a_failed_read_leaves_its_connection_usable(store: TestStore) {
        for _ in 0..50 {
            let read = store.db.read("test.fails", |_| Err::<(), _>(refusal())).await;
            assert_eq!(read.unwrap_err().kind(), Kind::Conflict("cart-empty"));
            let read = store.db.read("test.sql", |tx| tx.execute("SELECT nonsense", &[])).await;
            assert_eq!(read.unwrap_err().kind(), Kind::Internal);
        }
        assert_eq!(store.value("products").await, Some(0));
    }

    async fn now_does_not_change_within_a_transaction(store: TestStore) {
        let clock = store.db.clock().clone();
        let moved = clock.clone();
        let (first, second) = store
            .db
            .write("test.now", move |tx| {
                let first = tx.now();
                moved.advance(Duration::from_mins(1));
                Ok((first, tx.now()))
            })
            .await
            .unwrap();
        assert_eq!(first, second);
        assert_eq!(clock.now(), first.plus(Duration::from_mins(1)));
    }

    async fn a_setting_keeps_its_first_value(store: TestStore) {
        for (offered, expected) in [("INR", "INR"), ("USD", "INR")] {
            let answer = store
                .db
                .write("test.setting", move |tx| shop::infra::db::setting(tx, "currency", offered))
                .await;
            assert_eq!(answer.unwrap(), expected);
        }
    }

    async fn events_are_numbered_in_commit_order(store: TestStore) {
        let writers = (0..32).map(|writer| {
            let db = store.db.clone();
            tokio::spawn(async move {
                for turn in 0..10 {
                    let fails = (writer + turn) % 3 == 0;
                    let written = db
                        .write("test.emit", move |tx| {
                            let number = add(tx, "emitted", 1)?;
                            tx.emit(&event(number))?;
                            if fails { Err(refusal()) } else { Ok(()) }
                        })
                        .await;
                    assert_eq!(written.is_err(), fails);
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        store.db.flush_events().await.unwrap();
        let events = store.db.read("test.events", |tx| bus::events_after(tx, 0)).await.unwrap();
        let emitted = store.value("emitted").await.unwrap();
        let seen: Vec<_> = events.iter().map(|e| (e.seq, e.changes[0].stock_quantity)).collect();
        assert_eq!(seen, (1..=emitted).map(|n| (n, n)).collect::<Vec<_>>());
        let head = store.db.read("test.head", bus::head).await.unwrap();
        assert_eq!(head, emitted);
    }

    async fn changes_of_many_products_are_split_into_events(store: TestStore) {
        let changes: Vec<_> = (0..450)
            .map(|n| StockChange::now(ProductId(uuid::Uuid::from_u128(n)), 7))
            .collect();
        let emitted = changes.clone();
        store.db.write("test.emit", move |tx| tx.emit_stock(&emitted)).await.unwrap();
        store.db.flush_events().await.unwrap();
        let events = store.db.read("test.events", |tx| bus::events_after(tx, 0)).await.unwrap();
        let sizes: Vec<_> = events.iter().map(|event| event.changes.len()).collect();
        assert_eq!(sizes, [200, 200, 50]);
        let all: Vec<_> = events.iter().flat_map(|event| event.changes.clone()).collect();
        assert_eq!(all, changes);
    }

    async fn deleted_events_do_not_free_their_numbers(store: TestStore) {
        for number in 1..=3 {
            store.db.write("test.emit", move |tx| tx.emit(&event(number))).await.unwrap();
        }
        store.db.flush_events().await.unwrap();
        store.db.clock().advance(Duration::from_mins(1));
        assert_eq!(delete_events(&store, Duration::from_secs(1), 100).await, [2]);
        store.db.write("test.emit", |tx| tx.emit(&event(4))).await.unwrap();
        store.db.flush_events().await.unwrap();
        let (tail, head) = store
            .db
            .read("test.ends", |tx| Ok((bus::tail(tx)?, bus::head(tx)?)))
            .await
            .unwrap();
        assert_eq!((tail, head), (2, 4));
    }

    async fn events_are_deleted_in_batches_by_age_and_by_count(store: TestStore) {
        let emit = |from, to| store.db.write("test.emit", move |tx| {
            (from..=to).try_for_each(|number| tx.emit(&event(number)))
        });
        emit(1, 2500).await.unwrap();
        store.db.flush_events().await.unwrap();
        store.db.clock().advance(Duration::from_mins(1));
        emit(2501, 2600).await.unwrap();
        store.db.flush_events().await.unwrap();
        let (old, all) = (Duration::from_secs(1), i64::MAX);
        assert_eq!(delete_events(&store, old, all).await, [1000, 1000, 500], "by age");
        assert_eq!(delete_events(&store, Duration::MAX, 30).await, [70], "by count");
        assert_eq!(delete_events(&store, Duration::MAX, 0).await, [29], "the newest stays");
        let ends = store.db.read("test.ends", |tx| Ok((bus::tail(tx)?, bus::head(tx)?)));
        assert_eq!(ends.await.unwrap(), (2599, 2600));
    }

    async fn sixty_four_concurrent_writers_lose_no_update(store: TestStore) {
        let writers = (0..64).map(|_| {
            let db = store.db.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    db.write("test.add", |tx| add(tx, "row", 1)).await.unwrap();
                    let seen = db.read("test.value", |tx| value_of(tx, "row")).await.unwrap();
                    assert!(seen.unwrap() > 0);
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert_eq!(store.value("row").await, Some(640));
    }

    async fn a_lock_held_by_another_process_times_out_as_unavailable(store: TestStore) {
        let busy = Duration::from_millis(20);
        let store = store.with_settings(db::Options { lock_timeout: busy, ..options() }).await;
        let other = store.raw_db();
        other.hold("kept_counts");
        for answer in concurrent_writes(&store, 8).await {
            assert_eq!(answer.unwrap_err().kind(), Kind::Unavailable);
        }
        assert_eq!(store.value("row").await, None, "reads go on");
        other.release();
        store.db.write("test.add", |tx| add(tx, "row", 1)).await.unwrap();
        assert_eq!(store.value("row").await, Some(1));
    }

    async fn a_write_waits_for_a_short_lock_of_another_process(store: TestStore) {
        let other = store.raw_db();
        other.hold("kept_counts");
        let mut waiting = pending_write(&store.db, |tx| add(tx, "row", 1));
        assert!(begin(&mut waiting).await.is_none());
        other.run("UPDATE kept_counts SET value = 9 WHERE name = 'products'");
        other.release();
        assert_eq!(waiting.await.unwrap(), 1);
    }

    async fn a_full_queue_rejects_writes_as_unavailable(store: TestStore) {
        let queue = 4;
        let store = store.with_settings(db::Options { queue_capacity: queue, readers: 1, ..options() }).await;
        let held = HeldWriter::of(&store.db).await;
        let mut writes: Vec<_> =
            (0..queue + 3).map(|_| pending_write(&store.db, |tx| add(tx, "row", 1))).collect();
        let mut rejected = 0;
        for write in &mut writes {
            if let Some(answer) = begin(write).await {
                assert_eq!(answer.unwrap_err().kind(), Kind::Unavailable);
                rejected += 1;
            }
        }
        assert_eq!(rejected, 3);
        held.release().await;
        writes.truncate(queue);
        for write in writes {
            write.await.unwrap();
        }
        assert_eq!(store.value("row").await, Some(4), "only the queued writes were done");
    }

    async fn closing_finishes_queued_writes_and_rejects_new_ones(store: TestStore) {
        let store = store.with_settings(db::Options { readers: 1, ..options() }).await;
        let held = HeldWriter::of(&store.db).await;
        let mut writes: Vec<_> =
            (0..20).map(|_| pending_write(&store.db, |tx| add(tx, "row", 1))).collect();
        for write in &mut writes {
            assert!(begin(write).await.is_none());
        }
        let closing = tokio::spawn({
            let db = store.db.clone();
            async move { db.close().await }
        });
        loop {
            // An accepted probe is dropped, so that it is skipped.
            let mut probe = pending_write(&store.db, |tx| add(tx, "probe", 1));
            if let Some(answer) = begin(&mut probe).await {
                assert_eq!(answer.unwrap_err().kind(), Kind::Unavailable);
                break;
            }
            drop(probe);
            tokio::task::yield_now().await;
        }
        held.release().await;
        for write in writes {
            write.await.unwrap();
        }
        closing.await.unwrap();
        let late = store.db.write("test.add", |tx| add(tx, "row", 1)).await;
        assert_eq!(late.unwrap_err().kind(), Kind::Unavailable);

        let wal = store.directory.path().join("shop.db-wal");
        let size = std::fs::metadata(wal).map_or(0, |wal| wal.len());
        assert_eq!(size, 0, "the WAL is checkpointed");
        let store = store.reopened().await;
        assert_eq!(store.value("row").await, Some(20));
        assert_eq!(store.value("probe").await, None);
    }
}

/// Returns the results of concurrent writes.
async fn concurrent_writes(store: &TestStore, count: usize) -> Vec<Result<i64>> {
    let mut writes: Vec<PendingWrite<i64>> = (0..count)
        .map(|_| pending_write(&store.db, |tx| add(tx, "row", 1)))
        .collect();
    for write in &mut writes {
        begin(write).await;
    }
    futures_util::future::join_all(writes).await
}

/// Polls `/readyz` until its cached result has expired and the shop is ready.
async fn until_ready(shop: &TestShop) {
    let ready = async {
        while shop.anonymous().get("/readyz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), ready)
        .await
        .expect("the shop becomes ready");
}

/// Asserts that an unavailable database is a 503 with `Retry-After`.
async fn assert_unavailable(shop: &TestShop) {
    let refused = shop.anonymous().get("/readyz").await;
    refused.assert_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let body = serde_json::json!({ "email": "a@example.com", "password": "correct horse battery",
        "name": "Ada" });
    let refused = shop.anonymous().post("/auth/register", body).await;
    refused.assert_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_a_503_with_retry_after() {
    let options = db::Options {
        queue_capacity: 2,
        ..options()
    };
    let shop = TestShop::with(Engine::Sqlite, &[("rate_limit", "off")], options).await;
    let shop = shop.unwrap();
    let held = HeldWriter::of(&shop.app.db).await;
    let mut waiting: Vec<_> = (0..2)
        .map(|_| pending_write(&shop.app.db, |_| Ok(())))
        .collect();
    for write in &mut waiting {
        assert!(begin(write).await.is_none());
    }
    assert_unavailable(&shop).await;
    let catalog = shop.anonymous().get("/products").await;
    assert_eq!(catalog.status, 200, "reads go on");
    held.release().await;
    for write in waiting {
        write.await.unwrap();
    }
    until_ready(&shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_held_by_another_process_is_a_503_with_retry_after() {
    let options = db::Options {
        lock_timeout: Duration::from_millis(20),
        ..options()
    };
    let shop = TestShop::with(Engine::Sqlite, &[("rate_limit", "off")], options).await;
    let shop = shop.unwrap();
    let other = shop.raw_db();
    other.hold("users");
    assert_unavailable(&shop).await;
    other.release();
    until_ready(&shop).await;
}

#[test]
fn every_connection_has_the_durable_settings() {
    let (full, normal) = (2, 1);
    assert_eq!(synchronous_settings(false), [full; 1 + 5 + 2]);
    // The syncer makes a server's commits durable.
    let server = synchronous_settings(true);
    assert_eq!(server[0], normal);
    assert_eq!(server[1..], [full; 5 + 2]);
}

/// Returns `synchronous` of the writer and of all readers, and checks their other settings.
fn synchronous_settings(is_server: bool) -> Vec<i64> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    migrate::run(&Location::Sqlite(path.clone())).unwrap();
    let options = db::Options {
        readers: 5,
        long_readers: 2,
        is_server,
        ..options()
    };
    let sqlite = Sqlite::open(&path, options, &context(Clock::system(), Rng::system())).unwrap();
    let settings = sqlite.settings().unwrap().into_iter();
    settings
        .map(|(journal_mode, synchronous, foreign_keys)| {
            assert_eq!((&*journal_mode, foreign_keys), ("wal", 1));
            synchronous
        })
        .collect()
}

#[test]
fn the_linked_sqlite_is_free_of_the_wal_reset_bug() {
    assert!(
        rusqlite::version_number() >= 3_051_003,
        "{}",
        rusqlite::version()
    );
}

#[test]
fn each_migration_runs_once() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(directory.path().join("shop.db"));
    assert!(migrate::run(&location).unwrap() > 0);
    assert_eq!(migrate::run(&location).unwrap(), 0);
}
