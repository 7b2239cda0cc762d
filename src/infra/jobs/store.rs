//! Operations on the table `jobs`.

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use super::job::{Failure, Job, JobCount, JobState, NewJob, Queue};
use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        pagination::{Page, PageRequest, Total},
    },
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

const COLUMNS: &str =
    "kind, subject_id, payload, state, due_at, attempts, last_error, retrying_since";

/// How long past its due time a job of another payload is unclaimed. Where a worker claims it, each attempt sets a
/// later due time; during an update, instances with the earlier settings still do.
const UNCLAIMED_AFTER: Duration = Duration::from_hours(24);

/// How many unclaimed jobs are failed at a time.
const UNCLAIMED_BATCH: i64 = 1000;

/// The waiting jobs of a kind (?1) and payload (?2) that have become due at a time (?3).
const HAS_BECOME_DUE: &str = "kind = ?1 AND payload = ?2 AND state = 'waiting' AND due_at <= ?3";

/// Those with a due time after the latest plausible one (?3), written before the clock was set back. They are due,
/// too. Two ranges of the index, since it cannot be searched for `due_at <= … OR due_at > …`.
const IS_DUE_IMPLAUSIBLY_LATE: &str =
    "kind = ?1 AND payload = ?2 AND state = 'waiting' AND due_at > ?3";

impl Tx<'_> {
    /// Adds a job in this transaction, unless its subject has one of that kind. A worker runs it after the commit.
    pub fn enqueue(&mut self, job: &NewJob<'_>) -> Result<()> {
        let now = self.now();
        self.execute_pipelined(
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
        payload: row.get("payload")?,
        state: row.get("state")?,
        due_at: row.get("due_at")?,
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
        retrying_since: row.get("retrying_since")?,
    })
}

/// Returns whether a job of the queue is due.
pub(super) fn is_any_due(tx: &mut Tx<'_>, queue: &Queue) -> Result<bool> {
    for (condition, at) in due_ranges(tx, queue) {
        let sql = format!("SELECT 1 FROM jobs WHERE {condition} LIMIT 1");
        let args = params![queue.kind, queue.payload, at];
        if tx.one(&sql, args, |_| Ok(()))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn due_ranges(tx: &Tx<'_>, queue: &Queue) -> [(&'static str, Timestamp); 2] {
    let now = tx.now();
    [
        (HAS_BECOME_DUE, now),
        (IS_DUE_IMPLAUSIBLY_LATE, now.plus(queue.max_delay)),
    ]
}

/// Claims due jobs of the queue for an attempt, longest overdue first. No other instance claims them until the
/// lease ends.
pub fn claim(tx: &mut Tx<'_>, queue: &Queue) -> Result<Vec<Job>> {
    let mut due: Vec<Job> = Vec::new();
    for (condition, at) in due_ranges(tx, queue) {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE {condition} ORDER BY due_at, subject_id LIMIT ?4"
        );
        let claimed = i64::try_from(due.len()).unwrap_or(i64::MAX);
        let limit = queue.concurrency - claimed;
        if limit > 0 {
            let args = params![queue.kind, queue.payload, at, limit];
            due.extend(tx.all(Sql::from(&sql).for_update("jobs"), args, job)?);
        }
    }
    // Handlers lock the rows of their subjects in this order.
    due.sort_by_key(|job| job.subject);
    due.into_iter()
        .map(|job| start_attempt(tx, queue, job))
        .collect()
}

/// Locks and returns jobs of the queue's kind that no worker claims, because of their payload.
pub(super) fn unclaimed(tx: &mut Tx<'_>, queue: &Queue) -> Result<Vec<Job>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs
         WHERE kind = ?1 AND payload <> ?2 AND state = 'waiting' AND due_at < ?3
         ORDER BY subject_id LIMIT ?4"
    );
    let before = tx.now().minus(UNCLAIMED_AFTER);
    let args = params![queue.kind, queue.payload, before, UNCLAIMED_BATCH];
    tx.all(Sql::from(&sql).for_update("jobs"), args, job)
}

/// Claims the job of a subject whether or not it is due. Returns `None` if there is none.
pub fn claim_now(tx: &mut Tx<'_>, queue: &Queue, subject: Uuid) -> Result<Option<Job>> {
    let found = find(tx, queue.kind, subject)?;
    found.map(|job| start_attempt(tx, queue, job)).transpose()
}

fn start_attempt(tx: &mut Tx<'_>, queue: &Queue, job: Job) -> Result<Job> {
    let lease_end = tx.now().plus(queue.lease);
    tx.execute_pipelined(
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
    tx.execute_pipelined(
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
    tx.execute_pipelined(
        "UPDATE jobs SET due_at = ?3, last_error = ?4
         WHERE kind = ?1 AND subject_id = ?2 AND state = 'waiting'",
        params![kind, Value::Id(subject), due_at, error],
    )
}

/// Marks a job as dead. It may have been completed, if its failure is reported later: it is then added again, with
/// one attempt.
pub fn record_dead(tx: &mut Tx<'_>, job: &NewJob<'_>, error: &str) -> Result<()> {
    let now = tx.now();
    tx.execute_pipelined(
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
/// retry window is over. Returns the state of the job, or `None` if the lease is no longer the attempt's own: the job
/// was completed, retried by an operator, or claimed again.
pub fn record_failure(
    tx: &mut Tx<'_>,
    queue: &Queue,
    job: &Job,
    failure: &Failure,
) -> Result<Option<JobState>> {
    let next = tx.now().plus(queue.backoff(job.attempts, tx.rng()));
    let is_over = queue
        .retry_window
        .is_some_and(|window| next > job.retrying_since.plus(window));
    let (state, due_at) = if failure.is_permanent || is_over {
        (JobState::Dead, job.due_at)
    } else {
        (JobState::Waiting, next)
    };
    let recorded = tx.execute(
        "UPDATE jobs SET state = ?4, due_at = ?5, last_error = ?6
         WHERE kind = ?1 AND subject_id = ?2 AND state = 'waiting' AND due_at = ?3",
        params![
            queue.kind,
            Value::Id(job.subject),
            job.due_at,
            state,
            due_at,
            &failure.why
        ],
    )?;
    Ok((recorded == 1).then_some(state))
}

/// Makes a waiting job due now. Returns whether there is one.
pub fn run_soon(tx: &mut Tx<'_>, kind: &str, subject: Uuid) -> Result<bool> {
    let updated = tx.execute(
        "UPDATE jobs SET due_at = ?3, retrying_since = ?3
         WHERE kind = ?1 AND subject_id = ?2 AND state = 'waiting'",
        params![kind, Value::Id(subject), tx.now()],
    )?;
    Ok(updated == 1)
}

/// Makes a job due now, dead or not, and starts its retry window again.
pub fn retry_now(tx: &mut Tx<'_>, kind: &str, subject: Uuid) -> Result<()> {
    let now = tx.now();
    tx.execute_pipelined(
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

/// Returns the number of jobs by kind and state, and when the oldest of them was queued.
pub fn counts(tx: &mut Tx<'_>) -> Result<Vec<JobCount>> {
    tx.all(
        "SELECT kind, state, count(*) AS total, min(retrying_since) AS oldest
         FROM jobs GROUP BY kind, state ORDER BY kind, state",
        &[],
        |row| {
            Ok(JobCount {
                kind: row.get("kind")?,
                state: row.get("state")?,
                count: row.get("total")?,
                oldest: row.get("oldest")?,
            })
        },
    )
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
