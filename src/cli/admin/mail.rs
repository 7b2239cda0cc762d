//! `shop admin mail …`: the outbox of emails.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use crate::{
    app::App,
    cli::{
        output::{Output, escape, print_message},
        paging::{PageArgs, remaining_pages},
        write::write,
    },
    core::{
        error::{Error, Result},
        id::MailId,
        pagination::PageRequest,
    },
    domain::notifications::{self, Templates},
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Mail {
    /// List the emails in the outbox, newest first
    List(PageArgs),
    /// Show an email. Its link is created when it is sent, and is not stored
    Show {
        /// Id of the email, see `shop admin mail list`
        id: String,
    },
    /// Retry an email now, and for another 24 hours
    Retry {
        /// Id of the email, see `shop admin mail list`
        id: String,
    },
    /// Delete a dead email
    Drop {
        /// Id of the email, see `shop admin mail list`
        id: String,
    },
}

/// An email with its content.
#[derive(Debug, Serialize)]
struct MailDetails {
    #[serde(flatten)]
    mail: notifications::Mail,
    text: Option<String>,
}

impl Mail {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        let templates = notifications::templates(&app.config.data_dir, app.settings());
        match self {
            Mail::List(page) => list(app, output, &templates, page.into()).await,
            Mail::Show { id } => show(app, output, &templates, parse_id(&id)?).await,
            Mail::Retry { id } => {
                let id = parse_id(&id)?;
                let retry = move |tx: &mut Tx<'_>| notifications::retry(tx, id);
                let retried = write(app, "mail.retry", retry).await?;
                let summary = format!("the running server retries {}", retried.id);
                output.value(&retried.with_subject(&templates), &summary)
            }
            Mail::Drop { id } => {
                let id = parse_id(&id)?;
                let drop = move |tx: &mut Tx<'_>| notifications::drop_dead(tx, id);
                let dropped = write(app, "mail.drop", drop).await?;
                let summary = format!("dropped {}", dropped.id);
                output.value(&dropped.with_subject(&templates), &summary)
            }
        }
    }
}

async fn list(
    app: &Arc<App>,
    output: Output,
    templates: &Templates,
    page: PageRequest,
) -> Result<()> {
    let page = app
        .db
        .long_read("mail.list", move |tx| notifications::list(tx, page))
        .await?;
    let remaining = remaining_pages(&page);
    let mails: Vec<_> = page
        .data
        .into_iter()
        .map(|mail| mail.with_subject(templates))
        .collect();
    let headings = ["id", "to", "subject", "state", "tries", "last error"];
    output.table(&headings, &mails, |mail| {
        vec![
            mail.id.to_string(),
            mail.to.clone(),
            mail.subject.clone().unwrap_or_default(),
            mail.state.as_str().to_owned(),
            mail.attempts.to_string(),
            mail.error.clone().unwrap_or_default(),
        ]
    })?;
    if let Some(text) = remaining {
        print_message(&text);
    }
    Ok(())
}

async fn show(app: &Arc<App>, output: Output, templates: &Templates, id: MailId) -> Result<()> {
    let found = app
        .db
        .read("mail.mail", move |tx| notifications::mail(tx, id))
        .await?;
    let text = found.rendered(templates)?.map(|rendered| rendered.text);
    let mail = found.with_subject(templates);
    let summary = format!(
        "to: {}\nsubject: {}\nstate: {}\ntries: {}\nlast error: {}\n\n{}",
        escape(&mail.to),
        escape(mail.subject.as_deref().unwrap_or_default()),
        mail.state.as_str(),
        mail.attempts,
        escape(mail.error.as_deref().unwrap_or_default()),
        text.as_deref().unwrap_or("(the content was not kept)"),
    );
    output.value(&MailDetails { mail, text }, &summary)
}

fn parse_id(text: &str) -> Result<MailId> {
    text.parse().map_err(|_| {
        let message = "must be an id listed by `shop admin mail list`";
        Error::field("ID", "invalid", message)
    })
}
