//! The one thread that writes. What waits when it becomes free is a group, up to a size that [`Pace`]
//! tells: one transaction, one durable commit, then all the answers. Nothing joins a running group and
//! nothing waits for one to fill.
//!
//! A job that fails must not take its neighbours along. Having written nothing, it is answered and
//! the group goes on. Having written, or panicked, or with the transaction gone under it, the group
//! is undone, the culprit answered, and the others run again, each behind a savepoint. (A savepoint
//! for every job from the start would cost each of them a tenth.) A commit that fails is undone and
//! each job runs alone. So a job may run more than once, and is answered exactly once.
//!
//! While another program holds the lock, each job waits until its own timeout, measured from its arrival:
//! a group begins by waiting as long as its oldest job may, and goes on without those whose time is over.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{runtime::Handle, sync::Notify};
use tokio_util::sync::CancellationToken;

use super::{
    connection::{failure, is_busy},
    folding::{Folding, fold},
    pace::{LARGEST, Pace},
    writing::Writing,
};
use crate::{
    core::error::{Error, Kind, Result},
    infra::db::{Job, Options, Outcome, queue::Queue},
};

type Ask = Box<dyn FnOnce(&Connection) + Send>;

enum Message {
    Job(Box<dyn Job>),
    /// A question to the connection itself, between groups.
    Ask(Ask),
}

pub(super) struct Writer {
    queue: Queue<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        folding: Folding,
        options: &Options,
        committed: Arc<Notify>,
        failed: CancellationToken,
    ) -> Result<Writer> {
        let (queue, receiver) = Queue::new(options.queue);
        let answers = Handle::try_current().ok();
        let busy = options.busy;
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                let writing = Writing::new(&connection, failed.clone());
                serve(
                    writing,
                    busy,
                    folding,
                    &receiver,
                    &committed,
                    answers.as_ref(),
                );
                if !failed.is_cancelled() {
                    fold(&connection, &failed);
                }
                if failed.is_cancelled() {
                    // The last connection of a process that is closed folds the log and deletes it. That
                    // must not be done with pages that a failed sync has lost.
                    std::mem::forget(connection);
                }
            })
            .map_err(Error::internal)?;
        Ok(Writer {
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) fn push(&self, job: Box<dyn Job>) -> Result<()> {
        self.send(Message::Job(job))
    }

    pub(super) fn settings(&self) -> Result<(String, i64, i64)> {
        let (reply, answer) = std::sync::mpsc::channel();
        self.send(Message::Ask(Box::new(move |connection| {
            drop(reply.send(super::settings(connection).map_err(failure)));
        })))?;
        answer.recv().map_err(Error::internal)?
    }

    fn send(&self, message: Message) -> Result<()> {
        let full = "too many writes are waiting; try again";
        self.queue.push(message, full)
    }

    /// Takes no more jobs, finishes those that wait, and folds the log into the file.
    pub(super) fn close(&self) {
        self.queue.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            tracing::error!("the writer panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(
    mut writing: Writing<'_>,
    busy: Duration,
    mut folding: Folding,
    queue: &Receiver<Message>,
    committed: &Notify,
    answers: Option<&Handle>,
) {
    let mut pace = Pace::default();
    let mut group = Vec::with_capacity(LARGEST);
    while let Ok(first) = queue.recv() {
        let mut next = Some(first);
        let most = pace.most();
        while let Some(message) = next {
            match message {
                Message::Job(job) => group.push(job),
                Message::Ask(ask) => ask(writing.connection),
            }
            next = if group.len() < most {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        let group = std::mem::take(&mut group);
        if commit(&mut writing, &mut pace, busy, group, answers) {
            committed.notify_one();
        }
        if !writing.has_failed() {
            folding.look(&mut writing);
        }
    }
}

/// What one try at a group came to.
enum Attempt {
    Committed {
        emitted: bool,
    },
    /// Undone for the sake of the job at `culprit`; `error`, if any, goes out in place of its answer.
    Undone {
        culprit: usize,
        error: Option<Error>,
    },
    CommitFailed(Error),
    NotBegun(Error),
}

/// Brings every job of the group to its answer. Tells whether listeners are to be woken.
fn commit(
    writing: &mut Writing<'_>,
    pace: &mut Pace,
    busy: Duration,
    mut group: Vec<Box<dyn Job>>,
    answers: Option<&Handle>,
) -> bool {
    group.retain(|job| !job.is_abandoned());
    let mut guarded = false;
    while !group.is_empty() {
        match attempt(writing, pace, busy, &mut group, guarded) {
            Attempt::Committed { emitted } => {
                answer(group, answers);
                return emitted;
            }
            Attempt::Undone { culprit, error } => {
                let job = group.remove(culprit);
                match error {
                    Some(error) => job.refuse(error),
                    None => job.answer(),
                }
                guarded = true;
            }
            // After an I/O error nothing is tried again: a second sync may lie about the first.
            Attempt::CommitFailed(error)
                if group.len() > 1 && error.kind() != Kind::Unavailable =>
            {
                let mut emitted = false;
                for job in group {
                    emitted |= commit(writing, pace, busy, vec![job], answers);
                }
                return emitted;
            }
            Attempt::NotBegun(error) if is_busy(&error) => {
                group.retain(|job| !job.is_abandoned());
                let (over, others): (Vec<_>, Vec<_>) = group
                    .into_iter()
                    .partition(|job| job.arrived().elapsed() >= busy);
                if !over.is_empty() {
                    tracing::warn!(
                        jobs = over.len(),
                        "another program holds the database's lock"
                    );
                }
                for job in over {
                    job.refuse(error.retold());
                }
                group = others;
            }
            Attempt::CommitFailed(error) | Attempt::NotBegun(error) => {
                tracing::error!(?error, jobs = group.len(), "a group of writes failed");
                for job in group {
                    job.refuse(error.retold());
                }
                return false;
            }
        }
    }
    false
}

/// Hands the answers out from the callers' own runtime, which wakes them for less than this thread
/// could: the next group begins meanwhile.
fn answer(group: Vec<Box<dyn Job>>, answers: Option<&Handle>) {
    let all = move || group.into_iter().for_each(Job::answer);
    match answers {
        Some(runtime) => drop(runtime.spawn(async move { all() })),
        None => all(),
    }
}

fn attempt(
    writing: &mut Writing<'_>,
    pace: &mut Pace,
    busy: Duration,
    group: &mut [Box<dyn Job>],
    guarded: bool,
) -> Attempt {
    let begun = Instant::now();
    let waited = group.first().map(|oldest| oldest.arrived().elapsed());
    // The engine counts whole milliseconds: one more, so that the oldest has not to wait again.
    let wait = busy.saturating_sub(waited.unwrap_or_default()) + Duration::from_millis(1);
    if let Err(error) = writing.begin(wait) {
        return Attempt::NotBegun(error);
    }
    let mut emitted = false;
    for (index, job) in group.iter_mut().enumerate() {
        match step(writing, job.as_mut(), guarded) {
            Ok(Step::Kept { emitted: more }) => emitted |= more,
            Ok(Step::Undo) => return undone(writing, index, None),
            Err(error) => return undone(writing, index, Some(error)),
        }
    }
    let worked = begun.elapsed();
    match writing.rule("COMMIT") {
        Ok(()) => {
            pace.note(group.len(), worked, begun.elapsed().saturating_sub(worked));
            Attempt::Committed { emitted }
        }
        Err(error) => {
            roll_back(writing);
            Attempt::CommitFailed(error)
        }
    }
}

enum Step {
    Kept { emitted: bool },
    Undo,
}

/// Runs one job of the group. An error means that the transaction itself is lost.
fn step(writing: &mut Writing<'_>, job: &mut dyn Job, guarded: bool) -> Result<Step> {
    if guarded {
        writing.rule("SAVEPOINT job")?;
    }
    let before = writing.connection.total_changes();
    let outcome = job.run(writing);
    if writing.connection.is_autocommit() {
        // Gone under the job: disk full, an I/O error, `ON CONFLICT ROLLBACK`. Whatever the job
        // believes to have done, nothing of it is there.
        return match outcome {
            Outcome::Done { .. } => Err(Error::internal(
                "the transaction was undone inside an operation",
            )),
            Outcome::Failed | Outcome::Panicked => Ok(Step::Undo),
        };
    }
    let emitted = match outcome {
        Outcome::Done { emitted } => emitted,
        Outcome::Failed if writing.connection.total_changes() == before => false,
        Outcome::Failed | Outcome::Panicked if guarded => {
            writing.rule("ROLLBACK TO job")?;
            false
        }
        Outcome::Failed | Outcome::Panicked => return Ok(Step::Undo),
    };
    if guarded {
        writing.rule("RELEASE job")?;
    }
    Ok(Step::Kept { emitted })
}

fn undone(writing: &mut Writing<'_>, culprit: usize, error: Option<Error>) -> Attempt {
    roll_back(writing);
    Attempt::Undone { culprit, error }
}

fn roll_back(writing: &mut Writing<'_>) {
    if !writing.connection.is_autocommit()
        && !writing.has_failed()
        && let Err(error) = writing.rule("ROLLBACK")
    {
        tracing::error!(?error, "a transaction could not be undone");
    }
}
