//! Runs the jobs of a kind with the handler of their domain.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{
    job::{Failure, Job, JobState, Queue},
    store,
};
use crate::{
    core::error::{Kind, Result, chain},
    infra::db::{Db, Tx},
};

/// Runs the jobs of a kind.
pub trait Handler: Send + Sync + 'static {
    /// What an attempt needs from the database.
    type Input: Send + Sync + 'static;
    /// The result of a successful attempt.
    type Output: Send + Sync + 'static;

    /// Returns which jobs to claim, and when.
    fn queue(&self) -> Queue;

    /// Loads the input of an attempt, in the transaction that claims the job. `None` completes the job: it is no
    /// longer needed.
    fn load(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<Self::Input>>;

    /// Attempts the job, outside any transaction. It may have been attempted before, even successfully.
    fn attempt(
        &self,
        job: &Job,
        input: &Self::Input,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// Records a successful attempt, and completes the job.
    fn succeed(
        &self,
        tx: &mut Tx<'_>,
        job: &Job,
        input: &Self::Input,
        output: &Self::Output,
    ) -> Result<()>;

    /// Records a failed attempt. Returns the state of the job; `None` if the attempt no longer counts.
    fn fail(
        &self,
        tx: &mut Tx<'_>,
        job: &Job,
        _input: &Self::Input,
        failure: &Failure,
    ) -> Result<Option<JobState>> {
        store::record_failure(tx, &self.queue(), job, failure)
    }
}

/// Claims some of the jobs that are due, and runs them concurrently. Returns how many were claimed; 0 if none is
/// due.
pub async fn run_due<H: Handler>(db: &Db, handler: &Arc<H>) -> Result<usize> {
    let queue = handler.queue();
    let is_any_due = move |tx: &mut Tx<'_>| store::is_any_due(tx, &queue);
    if !db.read("jobs.is_any_due", is_any_due).await? {
        return Ok(0);
    }
    let loader = Arc::clone(handler);
    let (count, claimed) = db
        .write("jobs.claim", move |tx| {
            let jobs = store::claim(tx, &queue)?;
            Ok((jobs.len(), load(tx, &*loader, jobs)?))
        })
        .await?;
    run(db, handler, claimed).await?;
    Ok(count)
}

/// Fails the jobs that no worker has claimed for a day because of their payload, and completes those that are no
/// longer needed. `why` returns the error for a payload.
pub fn fail_unclaimed<H: Handler>(
    tx: &mut Tx<'_>,
    handler: &H,
    why: impl Fn(&str) -> String,
) -> Result<()> {
    let jobs = store::unclaimed(tx, &handler.queue())?;
    for (job, input) in load(tx, handler, jobs)? {
        let failure = Failure {
            is_permanent: true,
            why: why(&job.payload),
        };
        let state = handler.fail(tx, &job, &input, &failure)?;
        log_failure(&job, state, &failure.why);
    }
    Ok(())
}

/// Loads the inputs of claimed jobs. Jobs that are no longer needed are completed and left out.
pub fn load<H: Handler>(
    tx: &mut Tx<'_>,
    handler: &H,
    jobs: Vec<Job>,
) -> Result<Vec<(Job, H::Input)>> {
    let mut loaded = Vec::with_capacity(jobs.len());
    for job in jobs {
        match handler.load(tx, &job) {
            Ok(Some(input)) => loaded.push((job, input)),
            Ok(None) => store::complete(tx, &job.kind, job.subject)?,
            Err(error) if error.kind() == Kind::Unavailable => return Err(error),
            // An unreadable row must not keep the other jobs waiting.
            Err(error) => {
                let why = error.detail().to_owned();
                let (kind, subject) = (&job.kind, job.subject);
                tracing::error!(kind, %subject, error = %chain(&error), "a background job is unreadable; retrying");
                let failure = Failure {
                    is_permanent: false,
                    why,
                };
                store::record_failure(tx, &handler.queue(), &job, &failure)?;
            }
        }
    }
    Ok(loaded)
}

/// Runs claimed jobs concurrently.
pub async fn run<H: Handler>(
    db: &Db,
    handler: &Arc<H>,
    claimed: Vec<(Job, H::Input)>,
) -> Result<()> {
    let results = claimed
        .into_iter()
        .map(|(job, input)| run_one(db, handler, job, input));
    join_all(results).await.into_iter().collect()
}

async fn run_one<H: Handler>(db: &Db, handler: &Arc<H>, job: Job, input: H::Input) -> Result<()> {
    let outcome = handler.attempt(&job, &input).await;
    let failed = outcome
        .as_ref()
        .err()
        .map(|failure| (job.clone(), failure.why.clone()));
    let recorder = Arc::clone(handler);
    let state = db
        .write("jobs.record", move |tx| match &outcome {
            Ok(output) => recorder.succeed(tx, &job, &input, output).map(|()| None),
            Err(failure) => recorder.fail(tx, &job, &input, failure),
        })
        .await?;
    if let Some((job, why)) = failed {
        log_failure(&job, state, &why);
    }
    Ok(())
}

/// Logs a failed attempt, unless it no longer counts.
fn log_failure(job: &Job, state: Option<JobState>, why: &str) {
    let (kind, subject, attempts) = (&job.kind, job.subject, job.attempts);
    match state {
        Some(JobState::Waiting) => {
            tracing::warn!(kind, %subject, attempts, why, "a background job failed; retrying");
        }
        Some(JobState::Dead) => tracing::error!(
            kind,
            %subject,
            attempts,
            why,
            "gave up a background job; see `shop admin jobs list --state dead`"
        ),
        None => {}
    }
}
