//! The queue of background jobs, one for all domains (table `jobs`).
//!
//! An operation adds a job in its own transaction ([`Tx::enqueue`](crate::infra::db::Tx::enqueue)), so a job
//! exists exactly if its cause was committed. A worker runs the jobs of a kind with the domain's [`Handler`]:
//!
//! 1. One transaction claims due jobs. A claim is a lease: the job is due again when it ends, so another
//!    instance takes over from one that died.
//! 2. The attempt runs outside any transaction. It must be safe to repeat.
//! 3. Another transaction records the result: the job is completed, retried after a backoff, or dead. A dead job
//!    waits for an operator.

mod finding;
mod handler;
mod job;
mod store;

pub use self::{
    finding::missing_row,
    handler::{Handler, fail_unclaimed, load, run, run_due},
    job::{Failure, Job, JobCount, JobState, NewJob, Queue},
    store::{
        cancel, claim, claim_now, complete, counts, find, find_all, list, of_subject, record_dead,
        record_failure, retry, retry_now, retry_waiting, run_soon,
    },
};
