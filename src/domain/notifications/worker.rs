//! Sends due emails in small batches.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{
    mail::Mail,
    outbox,
    templates::{self, Templates},
};
use crate::{
    app::App,
    core::error::{Error, Result},
    infra::ports::{Refusal, mailer},
};

/// How many emails are sent concurrently.
const BATCH_SIZE: i64 = 4;

/// Makes emails that a previous process left waiting due now. Called once at start.
pub async fn retry_at_start(app: &Arc<App>) -> Result<()> {
    let is_alone = app.config.database_url.is_none();
    app.db
        .write("mail.retry_now", move |tx| outbox::retry_now(tx, is_alone))
        .await?;
    Ok(())
}

/// Sends a batch of due emails. Returns the number of attempts; 0 if nothing is due.
pub async fn send_due(app: &Arc<App>) -> Result<usize> {
    if app.stopping.is_cancelled() || !app.db.read("mail.is_any_due", outbox::is_any_due).await? {
        return Ok(0);
    }
    let shop = Arc::clone(app);
    let mails = app
        .db
        .write("mail.claim_due", move |tx| {
            outbox::claim_due(tx, &shop, BATCH_SIZE)
        })
        .await?;
    let templates = templates::templates(app);
    let attempts = mails
        .iter()
        .map(|mail| send_unless_stopping(app, &templates, mail));
    let results = join_all(attempts).await;
    let results: Vec<_> = mails.into_iter().zip(results).collect();
    let count = results.len();
    record(app, results).await?;
    Ok(count)
}

/// Like [`send`], but fails when the server stops, so that the next start retries.
async fn send_unless_stopping(
    app: &App,
    templates: &Templates,
    mail: &Mail,
) -> Result<String, Refusal> {
    let sent = app.stopping.run_until_cancelled(send(app, templates, mail));
    sent.await.unwrap_or_else(|| {
        Err(Refusal {
            is_final: false,
            why: "the server stopped during this attempt".to_owned(),
        })
    })
}

/// Renders and sends an email. Returns its subject.
async fn send(app: &App, templates: &Templates, mail: &Mail) -> Result<String, Refusal> {
    let message = mail.message(templates).map_err(|error| Refusal {
        // The operator can fix a template.
        is_final: false,
        why: error.detail().to_owned(),
    })?;
    let sent = app.mailer.send(&message).await;
    sent.map_err(|refusal| mail.redact_token(refusal))?;
    Ok(message.subject)
}

/// Records the results of a batch, and logs the failures.
async fn record(app: &App, results: Vec<(Mail, Result<String, Refusal>)>) -> Result<()> {
    let failed = app
        .db
        .write("mail.record", move |tx| {
            let mut failed = Vec::new();
            for (mail, result) in &results {
                match result {
                    Ok(subject) => outbox::record_sent(tx, mail.id, subject)?,
                    Err(refusal) => {
                        let will_retry = outbox::record_failed(tx, mail, refusal)?;
                        failed.push((mail.id, mail.attempts, refusal.why.clone(), will_retry));
                    }
                }
            }
            Ok(failed)
        })
        .await?;
    for (id, attempts, why, will_retry) in failed {
        if will_retry {
            tracing::warn!(%id, attempts, why, "could not send an email; retrying");
        } else {
            tracing::error!(%id, attempts, why, "gave up an email; see `shop admin mail list`");
        }
    }
    Ok(())
}

/// Deletes email files whose retention has ended. They exist if no mail server is, or was, configured.
/// Returns how many were deleted.
pub async fn delete_old_files(app: &App) -> Result<usize> {
    let directory = app.config.data_dir.join(mailer::DIRECTORY);
    let before = app.clock.now().minus(app.config.mail_files_kept);
    let delete = move || mailer::delete_older(&directory, before);
    let deleted = tokio::task::spawn_blocking(delete).await;
    deleted.map_err(Error::internal)?.map_err(Error::internal)
}
