//! `shop admin jobs …`: the queues of background work.

use std::sync::Arc;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    app::App,
    cli::output::{Output, note},
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
    /// List mails to send, payment orders to make, refunds to send and images to delete
    List {
        /// Only those that are still attempted, or only those that were given up
        #[arg(long, value_enum)]
        state: Option<State>,
    },
    /// Attempt a job now; a refund that failed is made again
    Retry {
        /// As the list shows it
        id: String,
    },
    /// Take a dead job off the list
    Drop {
        /// As the list shows it
        id: String,
        /// What was done instead, kept with a refund
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

/// What was done about a job.
#[derive(Debug, Serialize)]
struct Done {
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
                let words = format!("{id} is attempted by the running server");
                output.one(
                    &Done {
                        id,
                        done: "retried",
                    },
                    &words,
                )
            }
            Jobs::Drop { id, note } => {
                let id = parse_id(&id)?;
                app.db
                    .write("jobs.drop", move |tx| drop_job(tx, id, &note))
                    .await?;
                output.one(
                    &Done {
                        id,
                        done: "dropped",
                    },
                    &format!("{id} is off the list"),
                )
            }
        }
    }
}

async fn list(app: &Arc<App>, output: Output, only: Option<JobState>) -> Result<()> {
    let listed = app
        .db
        .long_read("jobs.list", move |tx| {
            let mut all = Vec::new();
            for state in [JobState::Dead, JobState::Waiting] {
                if only.is_none_or(|only| only == state) {
                    all.extend(of_state(tx, state)?);
                }
            }
            Ok(all)
        })
        .await?;
    let head = [
        "id",
        "kind",
        "subject",
        "state",
        "due",
        "attempts",
        "last error",
    ];
    output.table(&head, &listed, |job| {
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
    let most = usize::try_from(MAX_LISTED).unwrap_or_default();
    if listed.len() >= most {
        note(&format!(
            "at most {MAX_LISTED} of each kind and state are shown"
        ));
    }
    Ok(())
}

fn of_state(tx: &mut Tx<'_>, state: JobState) -> Result<Vec<BackgroundJob>> {
    let mut jobs = payments::jobs(tx, state)?;
    jobs.extend(notifications::jobs(tx, state)?);
    if state == JobState::Waiting {
        jobs.extend(media::removal_jobs(tx)?);
    }
    jobs.sort_by_key(|job| job.due_at);
    Ok(jobs)
}

fn retry(tx: &mut Tx<'_>, app: &App, id: Uuid) -> Result<()> {
    if settlement::retry_job(tx, app, id)?
        || notifications::retry_job(tx, MailId(id))?
        || media::retry_removal(tx, ImageId(id))?
    {
        return Ok(());
    }
    Err(Error::not_found("job"))
}

fn drop_job(tx: &mut Tx<'_>, id: Uuid, note: &Note) -> Result<()> {
    if payments::drop_job(tx, id, None, note)? || notifications::drop_job(tx, MailId(id))? {
        return Ok(());
    }
    if media::removal_jobs(tx)?.iter().any(|job| job.id == id) {
        let detail = "this job is still attempted; only a dead one can be dropped";
        return Err(Error::unavailable(detail));
    }
    Err(Error::not_found("job"))
}

pub(super) fn parse_note(text: &str) -> Result<Note, String> {
    Note::try_from(text.to_owned())
}

fn parse_id(text: &str) -> Result<Uuid> {
    // An id of any kind has the same spelling.
    let id: Result<MailId, _> = text.parse();
    id.map(|id| id.0).map_err(|_| {
        let message = "must be an id that `shop admin jobs list` shows";
        Error::field("ID", "invalid", message)
    })
}
