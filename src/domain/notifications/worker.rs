//! Sends what is due, a few at a time.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{Mail, Templates};
use crate::{
    app::App,
    core::error::{Error, Result},
    infra::ports::{MailMessage, Refusal, mailer},
};

/// How many are sent at once.
const AT_ONCE: i64 = 4;

/// At the start: what an earlier program left is tried at once.
pub async fn begin(app: &Arc<App>) -> Result<()> {
    let is_alone = app.config.database_url.is_none();
    app.db
        .write("mail.hasten", move |tx| super::hasten(tx, is_alone))
        .await?;
    Ok(())
}

/// Sends a few of what is due now; tells how many tries that took: none, nothing is left to do.
pub async fn send_due(app: &Arc<App>) -> Result<usize> {
    if app.stopping.is_cancelled() || !app.db.read("mail.is_any_due", super::is_any_due).await? {
        return Ok(0);
    }
    let shop = Arc::clone(app);
    let mails = app
        .db
        .write("mail.take_due", move |tx| {
            super::take_due(tx, &shop, AT_ONCE)
        })
        .await?;
    let templates = super::templates(app);
    let outcomes = join_all(mails.iter().map(|mail| try_to_send(app, &templates, mail))).await;
    let outcomes: Vec<_> = mails.into_iter().zip(outcomes).collect();
    let tries = outcomes.len();
    note(app, outcomes).await?;
    Ok(tries)
}

/// As [`send`], and given up where the server stops meanwhile: the next start tries again.
async fn try_to_send(app: &App, templates: &Templates, mail: &Mail) -> Result<String, Refusal> {
    let sent = app.stopping.run_until_cancelled(send(app, templates, mail));
    sent.await.unwrap_or_else(|| {
        Err(Refusal {
            is_final: false,
            why: "the server stopped in the middle of it".to_owned(),
        })
    })
}

/// Tells the subject of what has left.
async fn send(app: &App, templates: &Templates, mail: &Mail) -> Result<String, Refusal> {
    let letter: MailMessage = mail.letter(templates).map_err(|error| Refusal {
        // A template can be mended.
        is_final: false,
        why: error.detail().to_owned(),
    })?;
    let sent = app.mailer.send(&letter).await;
    sent.map_err(|refusal| mail.without_token(refusal))?;
    Ok(letter.subject)
}

async fn note(app: &App, outcomes: Vec<(Mail, Result<String, Refusal>)>) -> Result<()> {
    let failed = app
        .db
        .write("mail.note", move |tx| {
            let mut failed = Vec::new();
            for (mail, outcome) in &outcomes {
                match outcome {
                    Ok(subject) => super::note_sent(tx, mail.id, subject)?,
                    Err(refusal) => {
                        let goes_on = super::note_failed(tx, mail, refusal)?;
                        failed.push((mail.id, mail.tries, refusal.why.clone(), goes_on));
                    }
                }
            }
            Ok(failed)
        })
        .await?;
    for (id, tries, why, goes_on) in failed {
        if goes_on {
            tracing::warn!(%id, tries, why, "a mail could not be sent; trying again");
        } else {
            tracing::error!(%id, tries, why, "a mail is given up; see `shop admin mail list`");
        }
    }
    Ok(())
}

/// Deletes mail files after the time for which they are kept. There may be some from before a mail server
/// was configured. Returns how many it deleted.
pub async fn delete_old_files(app: &App) -> Result<usize> {
    let directory = app.config.data_dir.join(mailer::DIRECTORY);
    let before = app.clock.now().minus(app.config.mail_files_kept);
    let delete = move || mailer::delete_older(&directory, before);
    let deleted = tokio::task::spawn_blocking(delete).await;
    deleted.map_err(Error::internal)?.map_err(Error::internal)
}
