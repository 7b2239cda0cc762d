//! The publishers against a model of them: transactions that commit in any order, some of them
//! late, some never.

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

/// What happens next. A transaction is one of a few that another program keeps open.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// An event is left in a transaction, which begins with it if need be: its place is drawn.
    Leave(usize),
    Commit(usize),
    Undo(usize),
    /// One of two instances writes an event of its own, and tells of it.
    Write {
        second: bool,
    },
    /// Somebody wants to know at one of two instances that all is numbered.
    Settle {
        second: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let transaction = || 0..TRANSACTIONS;
    let step = prop_oneof![
        4 => transaction().prop_map(Step::Leave),
        3 => transaction().prop_map(Step::Commit),
        1 => transaction().prop_map(Step::Undo),
        3 => any::<bool>().prop_map(|second| Step::Write { second }),
        2 => any::<bool>().prop_map(|second| Step::Settle { second }),
    ];
    vec(step, 1..40)
}

/// What became of the steps so far. An event is known by its number in `stockQuantity`.
struct Model<'a> {
    stores: [&'a TestStore; 2],
    open: Vec<(&'a RawDb, Vec<i64>)>,
    /// Events in the order in which they were told, as far as somebody looked.
    told: Vec<i64>,
    /// Events that were committed since.
    fresh: Vec<i64>,
    last: i64,
}

/// An event that was not there before.
fn next() -> i64 {
    static EVENTS: AtomicI64 = AtomicI64::new(1);
    EVENTS.fetch_add(1, Ordering::SeqCst)
}

impl Model<'_> {
    async fn play(&mut self, step: Step) {
        match step {
            Step::Leave(at) => {
                let event = next();
                let (raw, left) = &mut self.open[at];
                if left.is_empty() {
                    raw.run("BEGIN");
                }
                raw.run(&leave(&uuid::Uuid::nil().to_string(), event));
                left.push(event);
            }
            Step::Commit(at) => {
                let (raw, left) = &mut self.open[at];
                if !left.is_empty() {
                    raw.run("COMMIT");
                    self.fresh.append(left);
                }
            }
            Step::Undo(at) => {
                let (raw, left) = &mut self.open[at];
                if !left.is_empty() {
                    raw.run("ROLLBACK");
                    left.clear();
                }
            }
            Step::Write { second } => {
                let event = next();
                let change = StockChange::now(ProductId(uuid::Uuid::nil()), event);
                let told = Event::Inventory(vec![change]);
                let written = self.stores[usize::from(second)]
                    .db
                    .write("test.emit", move |tx| tx.emit(&told));
                written.await.unwrap();
                self.fresh.push(event);
            }
            Step::Settle { second } => self.settle(usize::from(second)).await,
        }
    }

    /// All that is committed has its number, behind all that had one before.
    async fn settle(&mut self, at: usize) {
        let db = &self.stores[at].db;
        db.flush_events().await.unwrap();
        let after = self.last;
        let events = db.read("test.events", move |tx| bus::events_after(tx, after));
        let mut fresh = Vec::new();
        for event in events.await.unwrap() {
            self.last += 1;
            assert_eq!(event.seq, self.last, "no number is missing");
            fresh.push(event.changes[0].stock_quantity);
        }
        self.told.extend(&fresh);
        fresh.sort_unstable();
        self.fresh.sort_unstable();
        assert_eq!(fresh, self.fresh, "what was committed, each once");
        self.fresh.clear();
    }

    async fn end(mut self) {
        for at in 0..TRANSACTIONS {
            self.play(Step::Commit(at)).await;
        }
        self.settle(0).await;
        // Nothing that was told has moved.
        let (db, first) = (&self.stores[1].db, self.last);
        let events = db.read("test.events", move |tx| {
            let mut events = Vec::new();
            tx.each("SELECT seq, changes FROM events ORDER BY seq", &[], |row| {
                events.push((row.get::<i64>(0)?, row.get::<String>(1)?));
                Ok(())
            })?;
            Ok(events)
        });
        let events = events.await.unwrap();
        let skip = events.len() - self.told.len();
        assert_eq!(i64::try_from(events.len()).unwrap(), first);
        for ((_, changes), event) in events[skip..].iter().zip(&self.told) {
            let changes: Value = serde_json::from_str(changes).unwrap();
            assert_eq!(changes[0]["stockQuantity"], *event);
        }
    }
}

#[test]
fn what_is_committed_is_numbered_once_whenever_it_commits() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let Some(store) = runtime.block_on(TestStore::on(Engine::Postgres)) else {
        return;
    };
    let other = runtime.block_on(store.another());
    let transactions: Vec<_> = (0..TRANSACTIONS).map(|_| store.raw_db()).collect();
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            // What a case that failed has left.
            for open in &transactions {
                open.run("ROLLBACK");
            }
            runtime.block_on(async {
                let head = store.db.read("test.head", bus::head).await.unwrap();
                let mut model = Model {
                    stores: [&store, &other],
                    open: transactions.iter().map(|raw| (raw, Vec::new())).collect(),
                    told: Vec::new(),
                    fresh: Vec::new(),
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
