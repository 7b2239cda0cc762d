//! The writer against a model of it: whatever is thrown at it at once, what it answered is what is
//! there.

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

/// What one job does. A key is one of a few, so that jobs meet.
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
    /// The engine undoes the transaction; the job notices or does not.
    Abort {
        key: u8,
        notices: bool,
    },
    /// Only the COMMIT finds the breach.
    Orphan {
        key: u8,
    },
}

/// Jobs that are given at once.
#[derive(Debug, Clone)]
struct Burst {
    steps: Vec<Step>,
    /// Whether the writer is held meanwhile, so that they are one group in a known order.
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
        1 => key().prop_map(|key| Step::Orphan { key }),
    ]
}

fn bursts() -> impl Strategy<Value = Vec<Burst>> {
    let burst = (vec(step(), 1..14), any::<bool>());
    vec(burst.prop_map(|(steps, held)| Burst { steps, held }), 1..5)
}

impl Step {
    /// The row that is added to and by how much, if it is.
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
                panic_any("the job panics")
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
            Step::Orphan { .. } => {
                add(tx, name, 1000)?;
                orphan(tx)?;
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
            | Step::Orphan { key } => key,
        }
    }
}

/// Plays the bursts, and holds every answer and the table to the model.
async fn play(store: &TestStore, case: u64, bursts: &[Burst]) {
    let name = |key: u8| format!("case {case} key {key}");
    let mut model: BTreeMap<u8, i64> = BTreeMap::new();
    let mut emitted = store.db.read("test.head", bus::head).await.unwrap();
    for burst in bursts {
        let jobs = burst.steps.iter().map(|&step| {
            let name = name(step.key());
            job(&store.db, move |tx| step.run(tx, &name))
        });
        let jobs: Vec<_> = jobs.collect();
        let in_order = burst.held && store.engine == Engine::Sqlite;
        let answers = if in_order {
            as_one_group(&store.db, jobs).await
        } else {
            let tasks: Vec<_> = jobs.into_iter().map(tokio::spawn).collect();
            let answers = futures_util::future::join_all(tasks).await;
            answers.into_iter().map(|answer| answer.unwrap()).collect()
        };
        for (step, answer) in burst.steps.iter().zip(&answers) {
            let Some((key, more)) = step.addition() else {
                assert!(answer.is_err(), "{step:?} was told {answer:?}");
                continue;
            };
            let sum = model.entry(key).or_default();
            *sum += more;
            let told = *answer.as_ref().unwrap();
            // Without a hold the order is the engine's own; the sum of all is known even so.
            assert!(
                !in_order || told == *sum,
                "{step:?} was told {told}, not {sum}"
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
                |row| Ok((row.get::<String>(0)?, row.get::<i64>(1)?)),
            )?;
            let count = tx.one("SELECT count(*) FROM events", &[], |row| row.get(0))?;
            Ok((rows, bus::head(tx)?, count.unwrap_or(0)))
        })
        .await
        .unwrap();
    let expected: Vec<_> = model.iter().map(|(key, sum)| (name(*key), *sum)).collect();
    assert_eq!(rows, expected);
    assert_eq!((head, events), (emitted, emitted), "no gap, none twice");
}

/// Tells the story of one engine.
fn hold_to_the_model(engine: Engine) {
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
fn what_was_answered_is_what_is_there_on_sqlite() {
    hold_to_the_model(Engine::Sqlite);
}

#[test]
fn what_was_answered_is_what_is_there_on_postgres() {
    hold_to_the_model(Engine::Postgres);
}
