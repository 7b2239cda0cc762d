//! Group commit: jobs that wait together share one transaction and never one fate.

use std::{
    panic::panic_any,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;

/// What became of the rows `before`, `culprit` and `after`.
async fn rows(store: &TestStore) -> [Option<i64>; 3] {
    [
        store.value("before").await,
        store.value("culprit").await,
        store.value("after").await,
    ]
}

/// A job that goes wrong, behind others and before others of its group: tells its answer, once all
/// others were told theirs.
async fn among_others(
    store: &TestStore,
    culprit: impl FnMut(&mut Tx<'_>) -> Result<()> + Send + 'static,
) -> Result<()> {
    let db = &store.db;
    let mut jobs: Vec<Job<()>> = (0..5)
        .map(|_| job(db, |tx| add(tx, "before", 1).map(drop)))
        .collect();
    jobs.push(job(db, culprit));
    jobs.extend((0..5).map(|_| job(db, |tx| add(tx, "after", 1).map(drop))));
    let mut answers = as_one_group(db, jobs).await;
    let answer = answers.remove(5);
    for other in answers {
        other.unwrap();
    }
    answer
}

sqlite_test! {
    async fn jobs_that_wait_together_share_a_transaction(store: TestStore) {
        let elsewhere = store.raw_db();
        let last = job(&store.db, move |tx| {
            let inside = value_of(tx, "row")?;
            let outside = elsewhere.number("SELECT count(*) FROM kept_counts WHERE name = 'row'");
            Ok((inside, outside))
        });
        let first = job(&store.db, |tx| {
            insert(tx, "row", 7)?;
            Ok((None, 0))
        });
        let answers = as_one_group(&store.db, vec![first, last]).await;
        assert_eq!(*answers[1].as_ref().unwrap(), (Some(7), 0));
        assert_eq!(store.value("row").await, Some(7));
    }

    async fn the_log_is_folded_beside_the_writer(store: TestStore) {
        let store = store.with_settings(db::Options { log: 64, ..options() }).await;
        for _ in 0..2000 {
            store.db.write("test.add", |tx| add(tx, "row", 1)).await.unwrap();
            store.db.read("test.value", |tx| value_of(tx, "row")).await.unwrap();
        }
        let log = store.directory.path().join("shop.db-wal");
        let most = 8 * 64 * 4096;
        assert!(std::fs::metadata(log).unwrap().len() < most, "2,000 commits are some 4,000 pages");
        let store = store.reopened().await;
        assert_eq!(store.value("row").await, Some(2000));
    }

    async fn a_reader_that_stays_holds_nobody_up(store: TestStore) {
        let store = store.with_settings(db::Options { log: 64, ..options() }).await;
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
        let log = store.directory.path().join("shop.db-wal");
        let before = std::fs::metadata(&log).unwrap().len();
        for _ in 0..500 {
            store.db.write("test.add", |tx| add(tx, "row", 1)).await.unwrap();
        }
        assert_eq!(std::fs::metadata(&log).unwrap().len(), before, "the log begins anew");
        assert_eq!(store.value("row").await, Some(1500));
    }

    async fn more_jobs_than_a_group_takes_are_all_done(store: TestStore) {
        let jobs = (0..600).map(|_| job(&store.db, |tx| add(tx, "row", 1))).collect();
        let answers = as_one_group(&store.db, jobs).await;
        let sums: Vec<i64> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(sums, (1..=600).collect::<Vec<_>>(), "in the order of arrival");
    }

    async fn a_job_that_says_no_first_disturbs_nobody(store: TestStore) {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let first = job(&store.db, move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            insert(tx, "first", 1)
        });
        let no = job(&store.db, |tx| {
            assert_eq!(value_of(tx, "first")?, Some(1));
            Err(refusal())
        });
        let answers = as_one_group(&store.db, vec![first, no]).await;
        assert!(answers[0].is_ok());
        assert_eq!(answers[1].as_ref().unwrap_err().kind(), Kind::Conflict("cart-empty"));
        assert_eq!(runs.load(Ordering::SeqCst), 1, "the group was not begun anew");
        assert_eq!(store.value("first").await, Some(1));
    }

    async fn a_job_that_says_no_after_writing_leaves_nothing(store: TestStore) {
        let answer = among_others(&store, |tx| {
            insert(tx, "culprit", 1)?;
            tx.emit(&event(1))?;
            Err(refusal())
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Conflict("cart-empty"));
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
        assert_eq!(store.db.read("test.head", bus::head).await.unwrap(), 0);
    }

    async fn several_jobs_that_say_no_after_writing_leave_nothing(store: TestStore) {
        let jobs = (0..30).map(|number| job(&store.db, move |tx| {
            add(tx, "row", 1)?;
            if number % 3 == 0 { Err(refusal()) } else { Ok(()) }
        }));
        let answers = as_one_group(&store.db, jobs.collect()).await;
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.is_err(), number % 3 == 0);
        }
        assert_eq!(store.value("row").await, Some(20));
    }

    async fn a_job_that_panics_leaves_nothing(store: TestStore) {
        let answer = among_others(&store, |tx| {
            insert(tx, "culprit", 1)?;
            panic_any("the job panics")
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
        store.db.write("test.add", |tx| add(tx, "before", 1)).await.expect("the writer lives on");
    }

    async fn a_job_that_panics_before_writing_leaves_nothing(store: TestStore) {
        let answer = among_others(&store, |_| panic_any("the job panics")).await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
    }

    async fn a_transaction_undone_inside_a_job_takes_only_that_job(store: TestStore) {
        let answer = among_others(&store, |tx| {
            insert(tx, "culprit", 1)?;
            abort_the_transaction(tx)
        })
        .await;
        assert!(answer.is_err());
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
    }

    async fn a_transaction_undone_inside_a_job_is_no_success(store: TestStore) {
        let answer = among_others(&store, |tx| {
            insert(tx, "culprit", 1)?;
            abort_the_transaction(tx).unwrap_err();
            Ok(())
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
    }

    async fn nothing_is_written_once_the_transaction_is_gone(store: TestStore) {
        let answer = among_others(&store, |tx| {
            abort_the_transaction(tx).unwrap_err();
            insert(tx, "culprit", 1)
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
    }

    async fn a_commit_that_fails_takes_only_its_cause(store: TestStore) {
        let answer = among_others(&store, |tx| {
            insert(tx, "culprit", 1)?;
            orphan(tx)
        })
        .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(rows(&store).await, [Some(5), None, Some(5)]);
        store.raw_db().assert_sound();
    }

    async fn who_left_before_the_job_began_is_skipped(store: TestStore) {
        let held = HeldWriter::of(&store.db).await;
        let mut left = job(&store.db, |tx| insert(tx, "left", 1));
        let mut stayed = job(&store.db, |tx| insert(tx, "stayed", 1));
        assert!(begin(&mut left).await.is_none());
        assert!(begin(&mut stayed).await.is_none());
        drop(left);
        held.release().await;
        stayed.await.unwrap();
        assert_eq!(store.value("left").await, None);
        assert_eq!(store.value("stayed").await, Some(1));
    }

    async fn who_left_after_the_job_began_is_served(store: TestStore) {
        let (enter, entered) = tokio::sync::oneshot::channel();
        let (gate, opened) = std::sync::mpsc::channel::<()>();
        let mut enter = Some(enter);
        let mut left = job(&store.db, move |tx| {
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
