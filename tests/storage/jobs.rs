//! The queue of background jobs.

use std::time::Duration;

use shop::{
    core::{clock::Timestamp, error::Result},
    infra::{
        db::Tx,
        jobs::{self, Failure, Job, JobState, NewJob, Queue},
    },
};
use uuid::Uuid;

use crate::support::{TestStore, storage_test};

const QUEUE: Queue = Queue {
    concurrency: 3,
    ..Queue::of("test")
};

fn enqueue(tx: &mut Tx<'_>, subject: u128, payload: &str, due_at: Timestamp) -> Result<()> {
    tx.enqueue(&NewJob {
        kind: QUEUE.kind,
        subject: Uuid::from_u128(subject),
        payload,
        due_at,
    })
}

fn subjects(jobs: &[Job]) -> Vec<u128> {
    jobs.iter().map(|job| job.subject.as_u128()).collect()
}

async fn one_claimed(store: &TestStore) -> Job {
    let claimed = store.db.write("test.claim", |tx| {
        let now = tx.now();
        enqueue(tx, 1, "", now)?;
        jobs::claim(tx, &QUEUE)
    });
    claimed.await.unwrap().remove(0)
}

async fn fail(store: &TestStore, job: Job, is_permanent: bool) -> Option<JobState> {
    let failure = Failure {
        is_permanent,
        why: "no answer".to_owned(),
    };
    let failed = store.db.write("test.fail", move |tx| {
        jobs::record_failure(tx, &QUEUE, &job, &failure)
    });
    failed.await.unwrap()
}

async fn stored(store: &TestStore) -> Job {
    let found = store
        .db
        .read("test.job", |tx| jobs::of_subject(tx, Uuid::from_u128(1)));
    found.await.unwrap().unwrap()
}

storage_test! {
    async fn due_jobs_are_claimed_once_and_the_longest_overdue_first(store: TestStore) {
        let claims = store
            .db
            .write("test.claim", |tx| {
                let now = tx.now();
                for subject in 1..=5_u8 {
                    let overdue = Duration::from_secs(u64::from(subject));
                    enqueue(tx, u128::from(subject), "", now.minus(overdue))?;
                }
                enqueue(tx, 6, "", now.plus(Duration::from_secs(1)))?;
                enqueue(tx, 7, "of another worker", now)?;
                // Its due time was written before the clock was set back.
                enqueue(tx, 8, "", now.plus(QUEUE.max_delay + Duration::from_secs(1)))?;
                let mut claims = Vec::new();
                for _ in 0..3 {
                    claims.push(subjects(&jobs::claim(tx, &QUEUE)?));
                }
                Ok(claims)
            })
            .await
            .unwrap();
        assert_eq!(claims, [vec![3, 4, 5], vec![1, 2, 8], vec![]]);
    }

    async fn a_late_failure_does_not_delay_a_job_that_was_retried(store: TestStore) {
        let job = one_claimed(&store).await;
        let retried = store.db.write("test.retry", |tx| {
            jobs::retry_now(tx, QUEUE.kind, Uuid::from_u128(1))
        });
        retried.await.unwrap();
        assert_eq!(fail(&store, job, true).await, None);
        let stored = stored(&store).await;
        assert_eq!((stored.state, stored.last_error), (JobState::Waiting, None));
    }

    async fn run_soon_does_not_revive_a_dead_job(store: TestStore) {
        let job = one_claimed(&store).await;
        assert_eq!(fail(&store, job, true).await, Some(JobState::Dead));
        let is_waiting = store.db.write("test.run_soon", |tx| {
            jobs::run_soon(tx, QUEUE.kind, Uuid::from_u128(1))
        });
        assert!(!is_waiting.await.unwrap());
        assert_eq!(stored(&store).await.state, JobState::Dead);
    }

    async fn a_failed_attempt_is_repeated_after_a_backoff(store: TestStore) {
        let job = one_claimed(&store).await;
        let lease_end = job.due_at;
        assert_eq!(fail(&store, job, false).await, Some(JobState::Waiting));
        let stored = stored(&store).await;
        assert_eq!(stored.last_error.as_deref(), Some("no answer"));
        assert!(stored.due_at < lease_end);
    }
}
