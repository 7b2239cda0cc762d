//! Model-based test of concurrent writes: the stored data must match the acknowledged results.

use std::{
    collections::BTreeMap,
    panic::panic_any,
    sync::atomic::{AtomicU64, Ordering},
};

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};

use super::*;

/// What one operation does. There are few keys, so that operations conflict.
#[derive(Debug, Clone, Copy)]
enum Step {
    Add {
        key: u8,
        more: i64,
    },
    AddAndEmit {
        key: u8,
        more: i64,
    },
    FailFirst,
    FailLater {
        key: u8,
    },
    Panic {
        key: u8,
    },
    /// The engine rolls the transaction back. The operation returns the error or ignores it.
    Abort {
        key: u8,
        notices: bool,
    },
    /// Violates a foreign key, so that the COMMIT fails (SQLite).
    ViolateForeignKey {
        key: u8,
    },
}

/// Operations that are submitted together.
#[derive(Debug, Clone)]
struct Burst {
    steps: Vec<Step>,
    /// Whether the writer is blocked in the meantime, so that they form one batch in a known order.
    held: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..4_u8;
    prop_oneof![
        4 => (key(), 1..100_i64).prop_map(|(key, more)| Step::Add { key, more }),
        3 => (key(), 1..100_i64).prop_map(|(key, more)| Step::AddAndEmit { key, more }),
        1 => Just(Step::FailFirst),
        1 => key().prop_map(|key| Step::FailLater { key }),
        1 => key().prop_map(|key| Step::Panic { key }),
        1 => (key(), any::<bool>()).prop_map(|(key, notices)| Step::Abort { key, notices }),
        1 => key().prop_map(|key| Step::ViolateForeignKey { key }),
    ]
}

fn bursts() -> impl Strategy<Value = Vec<Burst>> {
    let burst = (vec(step(), 1..14), any::<bool>());
    vec(burst.prop_map(|(steps, held)| Burst { steps, held }), 1..5)
}

impl Step {
    /// The key and the value added to it, if the step succeeds.
    fn addition(self) -> Option<(u8, i64)> {
        match self {
            Step::Add { key, more } | Step::AddAndEmit { key, more } => Some((key, more)),
            _ => None,
        }
    }

    fn run(self, tx: &mut Tx<'_>, name: &str) -> Result<i64> {
        match self {
            Step::Add { more, .. } => add(tx, name, more),
            Step::AddAndEmit { more, .. } => {
                let sum = add(tx, name, more)?;
                tx.emit(&event(sum))?;
                Ok(sum)
            }
            Step::FailFirst => Err(refusal()),
            Step::FailLater { .. } => {
                add(tx, name, 1000)?;
                tx.emit(&event(-1))?;
                Err(refusal())
            }
            Step::Panic { .. } => {
                add(tx, name, 1000)?;
                panic_any("the operation panics")
            }
            Step::Abort { notices, .. } => {
                add(tx, name, 1000)?;
                let aborted = abort_the_transaction(tx);
                assert!(aborted.is_err());
                if notices {
                    aborted?;
                }
                Ok(0)
            }
            Step::ViolateForeignKey { .. } => {
                add(tx, name, 1000)?;
                violate_foreign_key(tx)?;
                Ok(0)
            }
        }
    }

    fn key(self) -> u8 {
        match self {
            Step::FailFirst => 0,
            Step::Add { key, .. }
            | Step::AddAndEmit { key, .. }
            | Step::FailLater { key }
            | Step::Panic { key }
            | Step::Abort { key, .. }
            | Step::ViolateForeignKey { key } => key,
        }
    }
}

/// Runs the bursts. Compares every result and the table with the model.
async fn play(store: &TestStore, case: u64, bursts: &[Burst]) {
    let name = |key: u8| format!("case {case} key {key}");
    let mut model: BTreeMap<u8, i64> = BTreeMap::new();
    let mut emitted = store.db.read("test.head", bus::head).await.unwrap();
    for burst in bursts {
        let writes = burst.steps.iter().map(|&step| {
            let name = name(step.key());
            pending_write(&store.db, move |tx| step.run(tx, &name))
        });
        let writes: Vec<_> = writes.collect();
        let in_order = burst.held && store.engine == Engine::Sqlite;
        let answers = if in_order {
            as_one_batch(&store.db, writes).await
        } else {
            let tasks: Vec<_> = writes.into_iter().map(tokio::spawn).collect();
            let answers = futures_util::future::join_all(tasks).await;
            answers.into_iter().map(|answer| answer.unwrap()).collect()
        };
        for (step, answer) in burst.steps.iter().zip(&answers) {
            let Some((key, more)) = step.addition() else {
                assert!(answer.is_err(), "{step:?} returned {answer:?}");
                continue;
            };
            let sum = model.entry(key).or_default();
            *sum += more;
            let returned = *answer.as_ref().unwrap();
            // Without the hold the order is not known, only the final sum.
            assert!(
                !in_order || returned == *sum,
                "{step:?} returned {returned}, not {sum}"
            );
            emitted += i64::from(matches!(step, Step::AddAndEmit { .. }));
        }
    }
    store.db.flush_events().await.unwrap();
    let pattern = format!("case {case} key %");
    let (rows, head, events) = store
        .db
        .read("test.rows", move |tx| {
            let rows = tx.all(
                "SELECT name, value FROM kept_counts WHERE name LIKE ?1 ORDER BY name",
                params![&pattern],
                |row| Ok((row.get::<String>("name")?, row.get::<i64>("value")?)),
            )?;
            let count = tx.one("SELECT count(*) AS count FROM events", &[], |row| {
                row.get("count")
            })?;
            Ok((rows, bus::head(tx)?, count.unwrap_or(0)))
        })
        .await
        .unwrap();
    let expected: Vec<_> = model.iter().map(|(key, sum)| (name(*key), *sum)).collect();
    assert_eq!(rows, expected);
    assert_eq!(
        (head, events),
        (emitted, emitted),
        "no gaps and no duplicates"
    );
}

/// Tests one engine against the model.
fn matches_the_model(engine: Engine) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let Some(store) = runtime.block_on(TestStore::on(engine)) else {
        return;
    };
    let cases = AtomicU64::new(0);
    let config = Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&bursts(), |bursts| {
            let case = cases.fetch_add(1, Ordering::SeqCst);
            runtime.block_on(play(&store, case, &bursts));
            Ok(())
        })
        .unwrap();
}

#[test]
fn stored_data_matches_acknowledged_writes_on_sqlite() {
    matches_the_model(Engine::Sqlite);
}

#[test]
fn stored_data_matches_acknowledged_writes_on_postgres() {
    matches_the_model(Engine::Postgres);
}
