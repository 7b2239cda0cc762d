//! Chooses the mailer from the configuration.

use std::sync::Arc;

use lettre::message::Mailbox;

use super::DataDir;
use crate::{
    core::error::{Error, Result},
    infra::{
        config::{Config, host_of},
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
            let smtp = SmtpMailer::open(url, named_sender(config, from)?)?;
            Ok(Arc::new(smtp))
        }
        (Some(_), None) => Err(Error::config(
            "`smtp_url` is set but `mail_from` is not; set it to the sender of emails, e.g. \
             `Shop <shop@example.com>`",
        )),
        (None, from) => {
            let from = named_sender(config, from.unwrap_or("shop@localhost"))?;
            Ok(Arc::new(FileMailer::new(data_dir.mail(), from, demo)))
        }
    }
}

/// Parses the sender. If it is an address alone, adds the name of the shop.
fn named_sender(config: &Config, from: &str) -> Result<Mailbox> {
    let mut from = sender(from)?;
    if from.name.is_none() {
        let host = || config.public_url.as_deref().and_then(host_of);
        let name = config.name.clone().or_else(host);
        from.name = Some(name.unwrap_or_else(|| "Shop".to_owned()));
    }
    Ok(from)
}
