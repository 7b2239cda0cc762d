//! Model-based test of the publishers: transactions commit in any order, late or never.

use std::sync::atomic::{AtomicI64, Ordering};

use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};
use shop::core::{
    event::{Event, StockChange},
    id::ProductId,
};

use super::*;
use crate::support::{Engine, TestStore};

const TRANSACTIONS: usize = 4;

/// A step of the test. Transactions are addressed by index.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Inserts an event in a transaction, which begins if necessary. The event's id is assigned now.
    Insert(usize),
    Commit(usize),
    RollBack(usize),
    /// One of two instances emits an event and notifies its publisher.
    Write {
        second: bool,
    },
    /// One of two instances waits until all committed events are numbered.
    Flush {
        second: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let transaction = || 0..TRANSACTIONS;
    let step = prop_oneof![
        4 => transaction().prop_map(Step::Insert),
        3 => transaction().prop_map(Step::Commit),
        1 => transaction().prop_map(Step::RollBack),
        3 => any::<bool>().prop_map(|second| Step::Write { second }),
        2 => any::<bool>().prop_map(|second| Step::Flush { second }),
    ];
    vec(step, 1..40)
}

/// The expected state. An event is identified by its `stockQuantity`.
struct Model<'a> {
    stores: [&'a TestStore; 2],
    open: Vec<(&'a RawDb, Vec<i64>)>,
    /// The published events in their order, up to the last flush.
    published: Vec<i64>,
    /// The events committed since the last flush.
    committed: Vec<i64>,
    last: i64,
}

/// Returns the number of a new event.
fn next_event() -> i64 {
    static EVENTS: AtomicI64 = AtomicI64::new(1);
    EVENTS.fetch_add(1, Ordering::SeqCst)
}

impl Model<'_> {
    async fn play(&mut self, step: Step) {
        match step {
            Step::Insert(at) => {
                let event = next_event();
                let (raw, events) = &mut self.open[at];
                if events.is_empty() {
                    raw.run("BEGIN");
                }
                raw.run(&insert_event(&uuid::Uuid::nil().to_string(), event));
                events.push(event);
            }
            Step::Commit(at) => {
                let (raw, events) = &mut self.open[at];
                if !events.is_empty() {
                    raw.run("COMMIT");
                    self.committed.append(events);
                }
            }
            Step::RollBack(at) => {
                let (raw, events) = &mut self.open[at];
                if !events.is_empty() {
                    raw.run("ROLLBACK");
                    events.clear();
                }
            }
            Step::Write { second } => {
                let event = next_event();
                let change = StockChange::now(ProductId(uuid::Uuid::nil()), event);
                let emitted = Event::Inventory(vec![change]);
                let written = self.stores[usize::from(second)]
                    .db
                    .write("test.emit", move |tx| tx.emit(&emitted));
                written.await.unwrap();
                self.committed.push(event);
            }
            Step::Flush { second } => self.flush(usize::from(second)).await,
        }
    }

    /// Flushes and asserts that all committed events have new, contiguous numbers.
    async fn flush(&mut self, at: usize) {
        let db = &self.stores[at].db;
        db.flush_events().await.unwrap();
        let after = self.last;
        let events = db.read("test.events", move |tx| bus::events_after(tx, after));
        let mut new = Vec::new();
        for event in events.await.unwrap() {
            self.last += 1;
            assert_eq!(event.seq, self.last, "no gaps");
            new.push(event.changes[0].stock_quantity);
        }
        self.published.extend(&new);
        new.sort_unstable();
        self.committed.sort_unstable();
        assert_eq!(new, self.committed, "every committed event once");
        self.committed.clear();
    }

    async fn end(mut self) {
        for at in 0..TRANSACTIONS {
            self.play(Step::Commit(at)).await;
        }
        self.flush(0).await;
        // Published events have not changed.
        let (db, first) = (&self.stores[1].db, self.last);
        let events = db.read("test.events", move |tx| {
            let mut events = Vec::new();
            tx.each("SELECT seq, changes FROM events ORDER BY seq", &[], |row| {
                events.push((row.get::<i64>("seq")?, row.get::<String>("changes")?));
                Ok(())
            })?;
            Ok(events)
        });
        let events = events.await.unwrap();
        let skip = events.len() - self.published.len();
        assert_eq!(i64::try_from(events.len()).unwrap(), first);
        for ((_, changes), event) in events[skip..].iter().zip(&self.published) {
            let changes: Value = serde_json::from_str(changes).unwrap();
            assert_eq!(changes[0]["stockQuantity"], *event);
        }
    }
}

#[test]
fn every_committed_event_is_numbered_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let Some(store) = runtime.block_on(TestStore::on(Engine::Postgres)) else {
        return;
    };
    let other = runtime.block_on(store.another_instance());
    let transactions: Vec<_> = (0..TRANSACTIONS).map(|_| store.raw_db()).collect();
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            // Clean up after a failed case.
            for open in &transactions {
                open.run("ROLLBACK");
            }
            runtime.block_on(async {
                let head = store.db.read("test.head", bus::head).await.unwrap();
                let mut model = Model {
                    stores: [&store, &other],
                    open: transactions.iter().map(|raw| (raw, Vec::new())).collect(),
                    published: Vec::new(),
                    committed: Vec::new(),
                    last: head,
                };
                for step in steps {
                    model.play(step).await;
                }
                model.end().await;
            });
            Ok(())
        })
        .unwrap();
}
