//! Chooses the mailer from the configuration.

use std::sync::Arc;

use super::DataDir;
use crate::{
    core::error::{Error, Result},
    infra::{
        config::Config,
        ports::{
            Mailer,
            mailer::{FileMailer, SmtpMailer, sender},
        },
    },
};

/// Returns the SMTP mailer if `smtp_url` is set, else one that writes emails to files.
///
/// Errors: `Config` if a setting is wrong or missing.
pub(super) fn from_config(
    config: &Config,
    data_dir: &DataDir,
    demo: bool,
) -> Result<Arc<dyn Mailer>> {
    let from = config.mail_from.as_deref();
    match (&config.smtp_url, from) {
        (Some(url), Some(from)) => {
            let smtp = SmtpMailer::open(url, sender(from)?)?;
            Ok(Arc::new(smtp))
        }
        (Some(_), None) => Err(Error::config(
            "`smtp_url` is set but `mail_from` is not; set it to the sender of emails, e.g. \
             `Shop <shop@example.com>`",
        )),
        (None, from) => {
            let from = sender(from.unwrap_or("Shop <shop@localhost>"))?;
            Ok(Arc::new(FileMailer::new(data_dir.mail(), from, demo)))
        }
    }
}
