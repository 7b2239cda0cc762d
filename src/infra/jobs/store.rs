//! Operations on the table `jobs`.

use std::collections::HashMap;

use uuid::Uuid;

use super::job::{Failure, Job, JobState, NewJob, Queue};
use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        pagination::{Page, PageRequest, Total},
    },
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

const COLUMNS: &str = "kind, subject_id, state, due_at, attempts, last_error, retrying_since";

/// Selects the due jobs of a kind (?1) and payload (?4) at a time (?2). A due time after ?3 was written before the
/// clock was set back.
const IS_DUE: &str = "kind = ?1 AND state = 'waiting' AND (due_at <= ?2 OR due_at > ?3)
    AND (CAST(?4 AS TEXT) IS NULL OR payload = ?4)";

impl Tx<'_> {
    /// Adds a job in this transaction, unless its subject has one of that kind. A worker runs it after the commit.
    pub fn enqueue(&mut self, job: &NewJob<'_>) -> Result<()> {
        let now = self.now();
        self.queue_execute(
            "INSERT INTO jobs (kind, subject_id, payload, state, due_at, attempts, retrying_since)
             VALUES (?1, ?2, ?3, 'waiting', ?4, 0, ?5)
             ON CONFLICT (subject_id, kind) DO NOTHING",
            params![
                job.kind,
                Value::Id(job.subject),
                job.payload,
                job.due_at,
                now
            ],
        )
    }
}

fn job(row: &Row<'_>) -> Result<Job> {
    Ok(Job {
        kind: row.get("kind")?,
        subject: row.get("subject_id")?,
        state: row.get("state")?,
        due_at: row.get("due_at")?,
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
        retrying_since: row.get("retrying_since")?,
    })
}

/// Returns whether a job of the queue is due.
pub(super) fn is_any_due(tx: &mut Tx<'_>, queue: &Queue) -> Result<bool> {
    let max_due_at = tx.now().plus(queue.max_delay);
    let found = tx.one(
        &format!("SELECT 1 FROM jobs WHERE {IS_DUE} LIMIT 1"),
        params![queue.kind, tx.now(), max_due_at, queue.payload],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Claims due jobs of the queue for an attempt, longest overdue first. No other instance claims them until the
/// lease ends.
pub fn claim(tx: &mut Tx<'_>, queue: &Queue) -> Result<Vec<Job>> {
    let sql =
        format!("SELECT {COLUMNS} FROM jobs WHERE {IS_DUE} ORDER BY due_at, subject_id LIMIT ?5");
    let max_due_at = tx.now().plus(queue.max_delay);
    let due = tx.all(
        Sql::from(&sql).for_update("jobs"),
        params![
            queue.kind,
            tx.now(),
            max_due_at,
            queue.payload,
            queue.concurrency
        ],
        job,
    )?;
    due.into_iter()
        .map(|job| start_attempt(tx, queue, job))
        .collect()
}

/// Claims the job of a subject whether or not it is due. Returns `None` if there is none.
pub fn claim_now(tx: &mut Tx<'_>, queue: &Queue, subject: Uuid) -> Result<Option<Job>> {
    let found = find(tx, queue.kind, subject)?;
    found.map(|job| start_attempt(tx, queue, job)).transpose()
}

fn start_attempt(tx: &mut Tx<'_>, queue: &Queue, job: Job) -> Result<Job> {
    let lease_end = tx.now().plus(queue.lease);
    tx.queue_execute(
        "UPDATE jobs SET attempts = attempts + 1, last_error = NULL, due_at = ?3
         WHERE kind = ?1 AND subject_id = ?2",
        params![queue.kind, Value::Id(job.subject), lease_end],
    )?;
    Ok(Job {
        attempts: job.attempts + 1,
        last_error: None,
        due_at: lease_end,
        ..job
    })
}

/// Removes a job that succeeded or is no longer needed.
pub fn complete(tx: &mut Tx<'_>, kind: &str, subject: Uuid) -> Result<()> {
    tx.queue_execute(
        "DELETE FROM jobs WHERE kind = ?1 AND subject_id = ?2",
        params![kind, Value::Id(subject)],
    )
}

/// Schedules the next attempt of a waiting job. `error` is that of the last attempt, if it failed.
pub fn retry(
    tx: &mut Tx<'_>,
    kind: &str,
    subject: Uuid,
    error: Option<&str>,
    due_at: Timestamp,
) -> Result<()> {
    tx.queue_execute(
        "UPDATE jobs SET due_at = ?3, last_error = ?4
         WHERE kind = ?1 AND subject_id = ?2 AND state = 'waiting'",
        params![kind, Value::Id(subject), due_at, error],
    )
}

/// Marks a waiting job as dead.
pub fn fail(tx: &mut Tx<'_>, kind: &str, subject: Uuid, error: &str) -> Result<()> {
    tx.queue_execute(
        "UPDATE jobs SET state = 'dead', last_error = ?3
         WHERE kind = ?1 AND subject_id = ?2 AND state = 'waiting'",
        params![kind, Value::Id(subject), error],
    )
}

/// Like [`fail`], for a job that may have been completed: its failure is reported later. It is then added again,
/// with one attempt.
pub fn record_dead(tx: &mut Tx<'_>, job: &NewJob<'_>, error: &str) -> Result<()> {
    let now = tx.now();
    tx.queue_execute(
        "INSERT INTO jobs (kind, subject_id, payload, state, due_at, attempts, last_error,
                           retrying_since)
         VALUES (?1, ?2, ?3, 'dead', ?4, 1, ?5, ?6)
         ON CONFLICT (subject_id, kind)
         DO UPDATE SET state = excluded.state, last_error = excluded.last_error",
        params![
            job.kind,
            Value::Id(job.subject),
            job.payload,
            job.due_at,
            error,
            now
        ],
    )
}

/// Records a failed attempt: schedules the next one, or marks the job as dead if the failure is permanent or the
/// retry window is over. Returns the state of the job.
pub fn record_failure(
    tx: &mut Tx<'_>,
    queue: &Queue,
    job: &Job,
    failure: &Failure,
) -> Result<JobState> {
    let next = tx.now().plus(queue.back_off(job.attempts, tx.rng()));
    let is_over = queue
        .retry_window
        .is_some_and(|window| next > job.retrying_since.plus(window));
    if failure.is_permanent || is_over {
        fail(tx, queue.kind, job.subject, &failure.why)?;
        return Ok(JobState::Dead);
    }
    retry(tx, queue.kind, job.subject, Some(&failure.why), next)?;
    Ok(JobState::Waiting)
}

/// Makes a job due now, dead or not, and starts its retry window again.
pub fn retry_now(tx: &mut Tx<'_>, kind: &str, subject: Uuid) -> Result<()> {
    let now = tx.now();
    tx.queue_execute(
        "UPDATE jobs SET state = 'waiting', due_at = ?3, retrying_since = ?3
         WHERE kind = ?1 AND subject_id = ?2",
        params![kind, Value::Id(subject), now],
    )
}

/// Makes the waiting jobs of a kind due now if their last attempt failed; with `include_claimed` also those whose
/// attempt has not ended.
pub fn retry_waiting(tx: &mut Tx<'_>, kind: &str, include_claimed: bool) -> Result<u64> {
    tx.execute(
        "UPDATE jobs SET due_at = ?2
         WHERE kind = ?1 AND state = 'waiting' AND due_at > ?2
             AND (last_error IS NOT NULL OR ?3 = 1)",
        params![kind, tx.now(), include_claimed],
    )
}

/// Removes a job that has not been attempted. Returns whether there was one.
pub fn cancel(tx: &mut Tx<'_>, kind: &str, subject: Uuid) -> Result<bool> {
    let deleted = tx.execute(
        "DELETE FROM jobs WHERE kind = ?1 AND subject_id = ?2 AND attempts = 0",
        params![kind, Value::Id(subject)],
    )?;
    Ok(deleted == 1)
}

/// Locks and returns the job of a kind and subject.
pub fn find(tx: &mut Tx<'_>, kind: &str, subject: Uuid) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE kind = ?1 AND subject_id = ?2");
    tx.one(
        Sql::from(&sql).for_update("jobs"),
        params![kind, Value::Id(subject)],
        job,
    )
}

/// Returns the jobs of these subjects with a kind, by subject.
pub fn find_all(tx: &mut Tx<'_>, kind: &str, subjects: &[Uuid]) -> Result<HashMap<Uuid, Job>> {
    if subjects.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE subject_id IN {} AND kind = ?{}",
        placeholders(subjects.len(), 1),
        subjects.len() + 1
    );
    let ids = subjects.iter().map(|id| Value::Id(*id));
    let args: Vec<_> = ids.chain([Value::from(kind)]).collect();
    let found = tx.all(&sql, &args, job)?.into_iter();
    Ok(found.map(|job| (job.subject, job)).collect())
}

/// Returns the job of a subject, whatever its kind.
pub fn of_subject(tx: &mut Tx<'_>, subject: Uuid) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE subject_id = ?1 ORDER BY kind");
    tx.one(&sql, params![Value::Id(subject)], job)
}

/// Returns the jobs in a state, or all with the dead ones first, by when they are due.
pub fn list(tx: &mut Tx<'_>, state: Option<JobState>, page: PageRequest) -> Result<Page<Job>> {
    let total = tx.one(
        "SELECT count(*) AS total FROM jobs WHERE CAST(?1 AS TEXT) IS NULL OR state = ?1",
        params![state],
        |row| row.get("total"),
    )?;
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE CAST(?1 AS TEXT) IS NULL OR state = ?1
         ORDER BY state, due_at, subject_id, kind LIMIT ?2 OFFSET ?3"
    );
    let jobs = tx.all(&sql, params![state, page.limit, page.offset()], job)?;
    Ok(Page::new(
        page,
        jobs,
        Total::exact(total.unwrap_or_default()),
    ))
}
