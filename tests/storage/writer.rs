//! Group commit: operations of a batch share one transaction, but a failing one does not affect the others.

use std::{
    panic::panic_any,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;

/// Returns the values of the rows `before`, `culprit` and `after`.
async fn rows(store: &TestStore) -> [Option<i64>; 3] {
    [
        store.value("before").await,
        store.value("culprit").await,
        store.value("after").await,
    ]
}

/// Runs a failing operation in the middle of a batch. Asserts that all others succeed. Returns its result.
async fn in_a_batch(
    store: &TestStore,
    culprit: impl FnMut(&mut Tx<'_>) -> Result<()> + Send + 'static,
) -> Result<()> {
    let db = &store.db;
    let mut writes: Vec<PendingWrite<()>> = (0..5)
        .map(|_| pending_write(db, |tx| add(tx, "before", 1).map(drop)))
        .collect();
    writes.push(pending_write(db, culprit));
    writes.extend((0..5).map(|_| pending_write(db, |tx| add(tx, "after", 1).map(drop))));
    let mut answers = as_one_batch(db, writes).await;
    let answer = answers.remove(5);
    for other in answers {
        other.unwrap();
    }
    answer
}

sqlite_test! {
    async fn operations_that_wait_together_share_a_transaction(store: TestStore) {
        let other = store.raw_db();
        let last = pending_write(&store.db, move |tx| {
            let inside = value_of(tx, "row")?;
            let outside = other.number("SELECT count(*) FROM kept_counts WHERE name = 'row'");
            Ok((inside, outside))
        });
        let first = pending_write(&store.db, |tx| {
            insert(tx, "row", 7)?;
            Ok((None, 0))
        });
        let answers = as_one_batch(&store.db, vec![first, last]).await;
        assert_eq!(*answers[1].as_ref().unwrap(), (Some(7), 0));
        assert_eq!(store.value("row").await, Some(7));
    }

    async fn checkpoints_run_concurrently_with_the_writer(store: TestStore) {
        let store = store.with_settings(db::Options { checkpoint_pages: 64, ..options() }).await;
        for _ in 0..2000 {
            store.db.write("test.add", |tx| add(tx, "row", 1)).await.unwrap();
            store.db.read("test.value", |tx| value_of(tx, "row")).await.unwrap();
        }
        let wal = store.directory.path().join("shop.db-wal");
        let max = 8 * 64 * 4096;
        assert!(std::fs::metadata(wal).unwrap().len() < max, "2,000 commits are about 4,000 pages");
        let store = store.reopened().await;
        assert_eq!(store.value("row").await, Some(2000));
    }

    async fn large_transactions_do_not_let_the_wal_grow(store: TestStore) {
        let store = store.with_settings(db::Options { checkpoint_pages: 64, ..options() }).await;
        for batch in 0..60 {
            let rows = move |tx: &mut Tx<'_>| {
                (0..3000).try_for_each(|row| insert(tx, &format!("batch {batch:02} row {row:04}"), 1))
            };
            store.db.write("test.insert", rows).await.unwrap();
        }
        let wal = store.directory.path().join("shop.db-wal");
        let max = 8 * 64 * 4096;
        let size = std::fs::metadata(wal).unwrap().len();
        assert!(size < max, "{size} bytes, for about 3,000 pages");
        assert_eq!(store.value("batch 59 row 2999").await, Some(1));
    }

    async fn a_long_running_reader_does_not_block_the_writer(store: TestStore) {
        let store = store.with_settings(db::Options { checkpoint_pages: 64, ..options() }).await;
        let raw = store.raw_db();
        raw.run("BEGIN");
        assert_eq!(raw.number("SELECT count(*) FROM kept_counts WHERE name = 'row'"), 0);
        for _ in 0..500 {
            store.db.write("test.add", |tx| add(tx, "row", 1)).await.unwrap();
        }
        assert_eq!(raw.number("SELECT count(*) FROM kept_counts WHERE name = 'row'"), 0);
        raw.run("COMMIT");
        for _ in 0..500 {
            store.db.write("test.add", |tx| add(tx, "row", 1)).await.unwrap();
        }
        let wal = store.directory.path().join("shop.db-wal");
        let before = std::fs::metadata(&wal).unwrap().len();
        for _ in 0..500 {
            store.db.write("test.add", |tx| add(tx, "row", 1)).await.unwrap();
        }
        assert_eq!(std::fs::metadata(&wal).unwrap().len(), before, "the WAL restarts");
        assert_eq!(store.value("row").await, Some(1500));
    }

    async fn more_operations_than_fit_in_a_batch_all_run(store: TestStore) {
        let writes = (0..600).map(|_| pending_write(&store.db, |tx| add(tx, "row", 1))).collect();
        let answers = as_one_batch(&store.db, writes).await;
        let sums: Vec<i64> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(sums, (1..=600).collect::<Vec<_>>(), "in submission order");
    }

    async fn an_operation_that_fails_before_writing_does_not_roll_back_its_batch(store: TestStore) {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let first = pending_write(&store.db, move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            insert(tx, "first", 1)
        });
        let no = pending_write(&store.db, |tx| {
            assert_eq!(value_of(tx, "first")?, Some(1));
            Err(refusal())
        });
        let answers = as_one_batch(&store.db, vec![first, no]).await;
        assert!(answers[0].is_ok());
        assert_eq!(answers[1].as_ref().unwrap_err().kind(), Kind::Conflict("cart-empty"));
        assert_eq!(runs.load(Ordering::SeqCst), 1, "the batch was not run again");
        assert_eq!(store.value("first").await, Some(1));
    }

    async fn an_operation_that_fails_after_writing_is_rolled_back(store: TestStore) {
        let answer = in_a_batch(&store, |tx| {
            insert(tx, "culprit", 1)?;
            tx.emit(&event(1))?;
            Err(refusal())
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Conflict("cart-empty"));
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
        assert_eq!(store.db.read("test.head", bus::head).await.unwrap(), 0);
    }

    async fn several_operations_that_fail_after_writing_are_rolled_back(store: TestStore) {
        let writes = (0..30).map(|number| pending_write(&store.db, move |tx| {
            add(tx, "row", 1)?;
            if number % 3 == 0 { Err(refusal()) } else { Ok(()) }
        }));
        let answers = as_one_batch(&store.db, writes.collect()).await;
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.is_err(), number % 3 == 0);
        }
        assert_eq!(store.value("row").await, Some(20));
    }

    async fn an_operation_that_panics_is_rolled_back(store: TestStore) {
        let answer = in_a_batch(&store, |tx| {
            insert(tx, "culprit", 1)?;
            panic_any("the operation panics")
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
        store.db.write("test.add", |tx| add(tx, "before", 1)).await.expect("the writer survives");
    }

    async fn an_operation_that_panics_before_writing_does_not_affect_its_batch(store: TestStore) {
        let answer = in_a_batch(&store, |_| panic_any("the operation panics")).await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
    }

    async fn a_rollback_inside_an_operation_affects_only_that_operation(store: TestStore) {
        let answer = in_a_batch(&store, |tx| {
            insert(tx, "culprit", 1)?;
            abort_the_transaction(tx)
        })
        .await;
        assert!(answer.is_err());
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
    }

    async fn an_operation_that_ignores_a_rollback_does_not_succeed(store: TestStore) {
        let answer = in_a_batch(&store, |tx| {
            insert(tx, "culprit", 1)?;
            abort_the_transaction(tx).unwrap_err();
            Ok(())
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
    }

    async fn statements_after_a_rollback_are_rejected(store: TestStore) {
        let answer = in_a_batch(&store, |tx| {
            abort_the_transaction(tx).unwrap_err();
            insert(tx, "culprit", 1)
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
    }

    async fn a_failed_commit_affects_only_its_cause(store: TestStore) {
        let answer = in_a_batch(&store, |tx| {
            insert(tx, "culprit", 1)?;
            violate_foreign_key(tx)
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
        store.raw_db().assert_invariants();
    }

    async fn an_operation_whose_caller_has_left_is_skipped(store: TestStore) {
        let held = HeldWriter::of(&store.db).await;
        let mut left = pending_write(&store.db, |tx| insert(tx, "left", 1));
        let mut stayed = pending_write(&store.db, |tx| insert(tx, "stayed", 1));
        assert!(begin(&mut left).await.is_none());
        assert!(begin(&mut stayed).await.is_none());
        drop(left);
        held.release().await;
        stayed.await.unwrap();
        assert_eq!(store.value("left").await, None);
        assert_eq!(store.value("stayed").await, Some(1));
    }

    async fn an_operation_that_has_begun_completes_without_its_caller(store: TestStore) {
        let (enter, entered) = tokio::sync::oneshot::channel();
        let (gate, opened) = std::sync::mpsc::channel::<()>();
        let mut enter = Some(enter);
        let mut left = pending_write(&store.db, move |tx| {
            enter.take().unwrap().send(()).unwrap();
            opened.recv().unwrap();
            insert(tx, "left", 1)
        });
        assert!(begin(&mut left).await.is_none());
        entered.await.unwrap();
        drop(left);
        gate.send(()).unwrap();
        store.db.write("test.after", |_| Ok(())).await.unwrap();
        assert_eq!(store.value("left").await, Some(1));
    }
}
