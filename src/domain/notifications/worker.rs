//! Sends the emails that are due.

use std::{sync::Arc, time::Duration};

use super::{mail::Mail, outbox, templates::templates};
use crate::{
    app::App,
    core::error::{Error, Result},
    infra::{
        db::Tx,
        jobs::{self, Failure, Handler, Job, Queue},
        outbox::SEND_MAIL,
        ports::mailer,
    },
};

/// The jobs that send an email. `shop admin` adds some from another process, so they are polled often.
pub const QUEUE: Queue = Queue {
    concurrency: 4,
    poll_interval: Duration::from_millis(250),
    has_jitter: true,
    retry_window: Some(Duration::from_hours(24)),
    ..Queue::of(SEND_MAIL)
};

/// Sends emails.
pub struct SendMail(pub Arc<App>);

impl Handler for SendMail {
    type Input = Mail;
    /// The subject of the email.
    type Output = String;

    fn queue(&self) -> Queue {
        QUEUE
    }

    fn load(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<Mail>> {
        outbox::prepare(tx, &self.0.mailer.domain(), job)
    }

    /// Fails when the server stops, so that the next start retries.
    async fn attempt(&self, _job: &Job, mail: &Mail) -> Result<String, Failure> {
        let stopping = &self.0.stopping;
        let sent = stopping.run_until_cancelled(send(&self.0, mail)).await;
        sent.unwrap_or_else(|| {
            Err(Failure {
                is_permanent: false,
                why: "the server stopped during this attempt".to_owned(),
            })
        })
    }

    fn succeed(&self, tx: &mut Tx<'_>, job: &Job, _mail: &Mail, subject: &String) -> Result<()> {
        outbox::record_sent(tx, job, subject)
    }
}

/// Renders and sends an email. Returns its subject.
async fn send(app: &App, mail: &Mail) -> Result<String, Failure> {
    let templates = templates(&app.config.data_dir, app.settings());
    let message = mail.message(&templates).map_err(|error| Failure {
        // The operator can fix a template.
        is_permanent: false,
        why: error.detail().to_owned(),
    })?;
    let sent = app.mailer.send(&message).await;
    sent.map_err(|refusal| {
        let refusal = mail.redact_token(refusal);
        Failure {
            is_permanent: refusal.is_permanent,
            why: refusal.why,
        }
    })?;
    Ok(message.subject)
}

/// Makes emails that a previous process left waiting due now. Called once at start.
pub async fn retry_at_start(app: &App) -> Result<()> {
    // Without other instances, emails that the previous process was sending are included.
    let is_alone = app.config.database_url.is_none();
    app.db
        .write("mail.retry_waiting", move |tx| {
            jobs::retry_waiting(tx, SEND_MAIL, is_alone)
        })
        .await?;
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
