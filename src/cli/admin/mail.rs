//! `shop admin mail …`: the outbox.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use crate::{
    app::App,
    cli::output::{Output, escape},
    core::{
        error::{Error, Result},
        id::MailId,
    },
    domain::notifications::{self, Templates},
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Mail {
    /// List the outbox, the newest first
    List,
    /// Show a mail; what it says is erased once it is sent
    Show { id: String },
    /// Try a mail again, now and for another day
    Retry { id: String },
    /// Take a dead mail off the list, by deleting it
    Drop { id: String },
}

/// A mail with what it says.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    mail: notifications::Mail,
    text: Option<String>,
}

impl Mail {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        let templates = notifications::templates(app);
        match self {
            Mail::List => {
                let mails = app.db.long_read("mail.list", notifications::list).await?;
                let mails: Vec<_> = mails
                    .into_iter()
                    .map(|mail| with_subject(mail, &templates))
                    .collect();
                let head = ["id", "to", "subject", "state", "tries", "last error"];
                output.table(&head, &mails, |mail| {
                    vec![
                        mail.id.to_string(),
                        mail.to.clone(),
                        mail.subject.clone().unwrap_or_default(),
                        mail.state.as_str().to_owned(),
                        mail.tries.to_string(),
                        mail.error.clone().unwrap_or_default(),
                    ]
                })
            }
            Mail::Show { id } => {
                let id = parse_id(&id)?;
                let found = app
                    .db
                    .read("mail.mail", move |tx| notifications::mail(tx, id))
                    .await?;
                let text = found.rendered(&templates)?.map(|rendered| rendered.text);
                let mail = with_subject(found, &templates);
                let words = format!(
                    "to: {}\nsubject: {}\nstate: {}\ntries: {}\nlast error: {}\n\n{}",
                    escape(&mail.to),
                    escape(mail.subject.as_deref().unwrap_or_default()),
                    mail.state.as_str(),
                    mail.tries,
                    escape(mail.error.as_deref().unwrap_or_default()),
                    text.as_deref().unwrap_or("(sent, and erased)"),
                );
                output.one(&Shown { mail, text }, &words)
            }
            Mail::Retry { id } => {
                let id = parse_id(&id)?;
                let retried = app
                    .db
                    .write("mail.retry", move |tx| notifications::retry(tx, id))
                    .await?;
                let words = format!("{} is tried again by the running server", retried.id);
                output.one(&with_subject(retried, &templates), &words)
            }
            Mail::Drop { id } => {
                let id = parse_id(&id)?;
                let dropped = app
                    .db
                    .write("mail.drop", move |tx| notifications::drop_dead(tx, id))
                    .await?;
                let words = format!("{} is deleted", dropped.id);
                output.one(&with_subject(dropped, &templates), &words)
            }
        }
    }
}

/// The subject is written down with the first success; until then it is what the template says.
fn with_subject(mut mail: notifications::Mail, templates: &Templates) -> notifications::Mail {
    if mail.subject.is_none()
        && let Ok(Some(rendered)) = mail.rendered(templates)
    {
        mail.subject = Some(rendered.subject);
    }
    mail
}

fn parse_id(text: &str) -> Result<MailId> {
    text.parse().map_err(|_| {
        Error::field(
            "ID",
            "invalid",
            "must be an id that `shop admin mail list` shows",
        )
    })
}
