//! `shop admin jobs …`: lists, retries and drops background jobs.

use std::sync::Arc;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    app::App,
    cli::{
        output::{Output, print_message},
        paging::{PageArgs, remaining_pages},
        write::write,
    },
    core::{
        audit::{Action, Changes},
        clock::Timestamp,
        error::{Error, Result},
        id::{MailId, RefundId},
        pagination::{Page, PageRequest},
    },
    domain::{
        media::{self, DELETE_IMAGE},
        notifications,
        payments::{self, Note, SEND_REFUND},
        settlement,
    },
    infra::{
        db::Tx,
        jobs::{self, Job, JobState},
        outbox::SEND_MAIL,
        ports::Gateway,
    },
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Jobs {
    /// List background jobs: emails, refunds and payment orders to send, images to delete
    List {
        /// Only jobs in this state: `waiting` is still attempted, `dead` has been given up
        #[arg(long, value_enum)]
        state: Option<State>,
        #[command(flatten)]
        page: PageArgs,
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

/// A job as it is printed. Its id is that of the email, refund, order or image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedJob {
    id: Uuid,
    kind: String,
    /// An email address, or the id of an order or an image; empty if the row of the job is missing.
    subject: String,
    state: JobState,
    /// The time of the next attempt; `None` if there is none.
    due_at: Option<Timestamp>,
    attempts: i64,
    last_error: Option<String>,
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
            Jobs::List { state, page } => {
                list(app, output, state.map(JobState::from), page.into()).await
            }
            Jobs::Retry { id } => {
                let id = parse_id(&id)?;
                let gateway = Arc::clone(&app.gateway);
                write(app, "jobs.retry", move |tx| retry(tx, &*gateway, id)).await?;
                let changed = Changed {
                    id,
                    done: "retried",
                };
                output.value(&changed, &format!("the running server retries {id}"))
            }
            Jobs::Drop { id, note } => {
                let id = parse_id(&id)?;
                write(app, "jobs.drop", move |tx| drop_job(tx, id, &note)).await?;
                let changed = Changed {
                    id,
                    done: "dropped",
                };
                output.value(&changed, &format!("dropped {id}"))
            }
        }
    }
}

async fn list(
    app: &Arc<App>,
    output: Output,
    state: Option<JobState>,
    page: PageRequest,
) -> Result<()> {
    let (page, jobs) = app
        .db
        .long_read("jobs.list", move |tx| {
            let page: Page<Job> = jobs::list(tx, state, page)?;
            let jobs: Result<Vec<_>> = page.data.iter().map(|job| listed(tx, job)).collect();
            Ok((page, jobs?))
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
            job.kind.clone(),
            job.subject.clone(),
            job.state.as_str().to_owned(),
            job.due_at.map(|at| at.to_string()).unwrap_or_default(),
            job.attempts.to_string(),
            job.last_error.clone().unwrap_or_default(),
        ]
    })?;
    if let Some(text) = remaining_pages(&page) {
        print_message(&text);
    }
    Ok(())
}

fn listed(tx: &mut Tx<'_>, job: &Job) -> Result<ListedJob> {
    let id = job.subject;
    let subject = match job.kind.as_str() {
        SEND_MAIL => notifications::recipient(tx, MailId(id))?.unwrap_or_default(),
        SEND_REFUND => {
            let order = payments::order_of_refund(tx, RefundId(id))?;
            order.map(|order| order.to_string()).unwrap_or_default()
        }
        _ => id.to_string(),
    };
    Ok(ListedJob {
        id,
        kind: job.kind.clone(),
        subject,
        state: job.state,
        due_at: (job.state == JobState::Waiting).then_some(job.due_at),
        attempts: job.attempts,
        last_error: job.last_error.clone(),
    })
}

fn not_found() -> Error {
    Error::not_found("job")
}

fn retry(tx: &mut Tx<'_>, gateway: &dyn Gateway, id: Uuid) -> Result<()> {
    let Some(job) = jobs::of_subject(tx, id)? else {
        // A refund that has lost its job gets a new one.
        return retry_refund(tx, gateway, id);
    };
    match job.kind.as_str() {
        SEND_MAIL => return notifications::retry(tx, MailId(id)).map(drop),
        DELETE_IMAGE => media::retry_deletion(tx, &job)?,
        SEND_REFUND => return retry_refund(tx, gateway, id),
        kind => jobs::retry_now(tx, kind, id)?,
    }
    audit_retry(tx, id, &job.kind)
}

fn retry_refund(tx: &mut Tx<'_>, gateway: &dyn Gateway, id: Uuid) -> Result<()> {
    if settlement::retry_refund(tx, gateway, RefundId(id))? {
        return audit_retry(tx, id, SEND_REFUND);
    }
    Err(not_found())
}

fn audit_retry(tx: &mut Tx<'_>, id: Uuid, kind: &str) -> Result<()> {
    tx.audit(Action::JobRetry, Some(&id), || {
        Changes::none().with("kind", kind)
    })
}

fn drop_job(tx: &mut Tx<'_>, id: Uuid, note: &Note) -> Result<()> {
    let job = jobs::of_subject(tx, id)?.ok_or_else(not_found)?;
    match job.kind.as_str() {
        SEND_MAIL if notifications::is_unsent(tx, MailId(id))? => {
            return notifications::drop_dead(tx, MailId(id)).map(drop);
        }
        _ if job.state == JobState::Waiting => {
            let detail = "this job is still attempted; only a dead one can be dropped";
            return Err(Error::command_failed(detail));
        }
        SEND_REFUND if payments::drop_refund(tx, RefundId(id), None, note)? => {}
        SEND_REFUND if payments::order_of_refund(tx, RefundId(id))?.is_some() => {
            return Err(not_found());
        }
        kind => jobs::complete(tx, kind, id)?,
    }
    tx.audit(Action::JobDrop, Some(&id), || {
        Changes::none()
            .with("kind", &job.kind)
            .with("note", note.as_str())
    })
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
