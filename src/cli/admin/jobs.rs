//! `shop admin jobs …`: lists, retries and drops background jobs of all queues.

use std::sync::Arc;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    app::App,
    cli::output::{Output, print_message},
    core::{
        error::{Error, Result},
        id::{ImageId, MailId},
    },
    domain::{
        media, notifications,
        payments::{self, Note},
        settlement,
    },
    infra::{
        db::Tx,
        jobs::{BackgroundJob, JobState, MAX_LISTED},
    },
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Jobs {
    /// List background jobs: emails, refunds and payment orders to send, images to delete
    List {
        /// Only jobs in this state: `waiting` is still attempted, `dead` has been given up
        #[arg(long, value_enum)]
        state: Option<State>,
    },
    /// Retry a job now; a failed refund is created again
    Retry {
        /// Id of the job, see `shop admin jobs list`
        id: String,
    },
    /// Delete a dead job
    Drop {
        /// Id of the job, see `shop admin jobs list`
        id: String,
        /// What was done instead; it is stored with a refund
        #[arg(long, default_value = "dropped", value_parser = parse_note)]
        note: Note,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum State {
    Waiting,
    Dead,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => JobState::Waiting,
            State::Dead => JobState::Dead,
        }
    }
}

/// The result of a change to a job.
#[derive(Debug, Serialize)]
struct Changed {
    id: Uuid,
    done: &'static str,
}

impl Jobs {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Jobs::List { state } => list(app, output, state.map(JobState::from)).await,
            Jobs::Retry { id } => {
                let id = parse_id(&id)?;
                let shop = Arc::clone(app);
                app.db
                    .write("jobs.retry", move |tx| retry(tx, &shop, id))
                    .await?;
                let changed = Changed {
                    id,
                    done: "retried",
                };
                output.value(&changed, &format!("the running server retries {id}"))
            }
            Jobs::Drop { id, note } => {
                let id = parse_id(&id)?;
                app.db
                    .write("jobs.drop", move |tx| drop_job(tx, id, &note))
                    .await?;
                let changed = Changed {
                    id,
                    done: "dropped",
                };
                output.value(&changed, &format!("dropped {id}"))
            }
        }
    }
}

async fn list(app: &Arc<App>, output: Output, filter: Option<JobState>) -> Result<()> {
    let jobs = app
        .db
        .long_read("jobs.list", move |tx| {
            let mut jobs = Vec::new();
            for state in [JobState::Dead, JobState::Waiting] {
                if filter.is_none_or(|filter| filter == state) {
                    jobs.extend(jobs_in_state(tx, state)?);
                }
            }
            Ok(jobs)
        })
        .await?;
    let headings = [
        "id",
        "kind",
        "subject",
        "state",
        "due",
        "attempts",
        "last error",
    ];
    output.table(&headings, &jobs, |job| {
        vec![
            job.id.to_string(),
            job.kind.to_owned(),
            job.subject.clone(),
            job.state.as_str().to_owned(),
            job.due_at.map(|at| at.to_string()).unwrap_or_default(),
            job.attempts.to_string(),
            job.last_error.clone().unwrap_or_default(),
        ]
    })?;
    let max = usize::try_from(MAX_LISTED).unwrap_or_default();
    if jobs.len() >= max {
        print_message(&format!(
            "at most {MAX_LISTED} jobs of each kind and state are listed"
        ));
    }
    Ok(())
}

fn jobs_in_state(tx: &mut Tx<'_>, state: JobState) -> Result<Vec<BackgroundJob>> {
    let mut jobs = payments::jobs(tx, state)?;
    jobs.extend(notifications::jobs(tx, state)?);
    if state == JobState::Waiting {
        jobs.extend(media::deletion_jobs(tx)?);
    }
    jobs.sort_by_key(|job| job.due_at);
    Ok(jobs)
}

fn retry(tx: &mut Tx<'_>, app: &App, id: Uuid) -> Result<()> {
    if settlement::retry_job(tx, app, id)?
        || notifications::retry_job(tx, MailId(id))?
        || media::retry_deletion(tx, ImageId(id))?
    {
        return Ok(());
    }
    Err(Error::not_found("job"))
}

fn drop_job(tx: &mut Tx<'_>, id: Uuid, note: &Note) -> Result<()> {
    if payments::drop_job(tx, id, None, note)? || notifications::drop_job(tx, MailId(id))? {
        return Ok(());
    }
    if media::deletion_jobs(tx)?.iter().any(|job| job.id == id) {
        let detail = "this job is still attempted; only a dead job can be dropped";
        return Err(Error::unavailable(detail));
    }
    Err(Error::not_found("job"))
}

pub(super) fn parse_note(text: &str) -> Result<Note, String> {
    Note::try_from(text.to_owned())
}

fn parse_id(text: &str) -> Result<Uuid> {
    // The ids of all kinds of jobs have the same format.
    let id: Result<MailId, _> = text.parse();
    id.map(|id| id.0).map_err(|_| {
        let message = "must be an id listed by `shop admin jobs list`";
        Error::field("ID", "invalid", message)
    })
}
