//! A crew: threads that take jobs from one queue, each with a connection of its own, made when it is
//! first needed and made anew when it is lost.
//!
//! A job runs again where the database asks for it, and where its connection was lost before its
//! commit was sent; after that nobody knows what became of it, and it is never tried again.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::session::{Session, Setup, Trouble};
use crate::{
    core::{
        error::{Error, Result},
        rng::Rng,
    },
    infra::db::{Access, Job, Outcome, queue::Queue},
};

/// How often a job that met others is run in all.
const TRIES: u32 = 6;

/// The longest pause before the second try; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(4);

/// How long threads may take for what they are at, once they are told to end.
const FAREWELL: Duration = Duration::from_secs(5);

type Order = (Access, Box<dyn Job>);

pub(super) struct Crew {
    queue: Queue<Order>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Crew {
    pub(super) fn start(
        name: &str,
        size: u32,
        queue: usize,
        setup: Setup,
        fresh: Arc<Notify>,
    ) -> Result<Crew> {
        let (queue, receiver) = Queue::new(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        let worker = Arc::new(Worker {
            setup,
            fresh,
            rng: Rng::system(),
        });
        let threads = (1..=size)
            .map(|number| {
                let (worker, receiver) = (Arc::clone(&worker), Arc::clone(&receiver));
                std::thread::Builder::new()
                    .name(format!("{name} {number}"))
                    .spawn(move || worker.serve(&receiver))
                    .map_err(Error::internal)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Crew {
            queue,
            threads: Mutex::new(threads),
        })
    }

    pub(super) fn push(&self, access: Access, job: Box<dyn Job>) -> Result<()> {
        let full = "too many requests are waiting; try again";
        self.queue.push((access, job), full)
    }

    /// Takes no more jobs and finishes those that wait.
    pub(super) fn close(&self) {
        self.queue.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        part_from(threads);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for threads that were told to end, but not for ever: on a server that says nothing one hangs
/// as long as the process runs.
pub(super) fn part_from(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    let deadline = Instant::now() + FAREWELL;
    for thread in threads {
        while !thread.is_finished() {
            if Instant::now() > deadline {
                return tracing::warn!("the database does not answer; leaving it");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.join().is_err() {
            tracing::error!("a database thread panicked");
        }
    }
}

/// What the threads of a crew share.
struct Worker {
    setup: Setup,
    fresh: Arc<Notify>,
    rng: Rng,
}

/// What one try at a job came to.
enum Attempt {
    /// The job's own answer stands, be it good or bad.
    Answered {
        emitted: bool,
    },
    Refused(Error),
    /// It met others, or its connection was gone: nothing of it is there.
    Again(Error),
}

impl Worker {
    fn serve(&self, queue: &Mutex<Receiver<Order>>) {
        let mut session = None;
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((access, job)) = next else { break };
            if !job.is_abandoned() {
                self.perform(&mut session, access, job);
            }
        }
    }

    /// Brings a job to its answer.
    fn perform(&self, session: &mut Option<Session>, access: Access, mut job: Box<dyn Job>) {
        let mut pause = FIRST_PAUSE;
        for tried in 1..=TRIES {
            let error = match self.attempt(session, access, job.as_mut()) {
                Attempt::Answered { emitted } => {
                    job.answer();
                    if emitted {
                        self.fresh.notify_one();
                    }
                    return;
                }
                Attempt::Refused(error) => return job.refuse(error),
                Attempt::Again(error) => error,
            };
            if tried == TRIES {
                return job.refuse(error);
            }
            std::thread::sleep(self.up_to(pause));
            pause *= 2;
        }
    }

    fn attempt(&self, session: &mut Option<Session>, access: Access, job: &mut dyn Job) -> Attempt {
        if session.as_ref().is_some_and(Session::is_lost) {
            *session = None;
        }
        let session = match session {
            Some(session) => session,
            None => match Session::open(&self.setup) {
                Ok(fresh) => session.insert(fresh),
                Err(error) => {
                    // Where the shop is kept is nothing for its customers.
                    tracing::warn!(?error, "no connection to the database");
                    return Attempt::Refused(Error::unavailable(
                        "the database cannot be reached; try again",
                    ));
                }
            },
        };
        session.begin(access);
        // One that has waited for a thread behind others waits the less for a lock.
        let (limit, waited) = (self.setup.lock_limit, job.arrived().elapsed());
        if access == Access::Write && waited > limit / 10 {
            session.limit_locks(limit.saturating_sub(waited));
        }
        let outcome = job.run(session);
        let emitted = outcome == (Outcome::Done { emitted: true });
        let ended = match outcome {
            Outcome::Done { .. } => session.commit(),
            Outcome::Failed | Outcome::Panicked => session.roll_back(),
        };
        match (session.trouble(), ended) {
            (None, Ok(())) => Attempt::Answered { emitted },
            (Some(Trouble::Contended), _) => Attempt::Again(Error::unavailable(
                "too much was changed at once; try again",
            )),
            (Some(Trouble::Lost), _) => Attempt::Again(Error::unavailable(
                "the connection to the database was lost; try again",
            )),
            (Some(Trouble::Uncertain), _) => Attempt::Refused(Error::unavailable(
                "the connection to the database was lost on the way; look what became of it, or \
                 repeat it under the same `Idempotency-Key`",
            )),
            // The operation's own error says more than that its transaction failed with it.
            (Some(Trouble::Failed), _) if outcome == Outcome::Failed => {
                Attempt::Answered { emitted: false }
            }
            (Some(Trouble::Failed), Ok(())) => Attempt::Refused(Error::internal(
                "a statement failed inside an operation that went on",
            )),
            (_, Err(error)) => Attempt::Refused(error),
        }
    }

    /// A random span, so that those who met do not meet again.
    fn up_to(&self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.rng.below(micros.max(1)))
    }
}
