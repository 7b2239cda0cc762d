//! Chooses the mailer from the configuration.

use std::sync::Arc;

use lettre::message::Mailbox;

use super::DataDir;
use crate::{
    core::error::{Error, Result},
    infra::{
        config::{Config, both, host_of},
        ports::{
            Mailer,
            mailer::{FileMailer, SmtpMailer, sender, smtp_transport},
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
    let Some(url) = &config.smtp_url else {
        let from = named_sender(config, from.unwrap_or("shop@localhost"))?;
        return Ok(Arc::new(FileMailer::new(data_dir.mail(), from, demo)));
    };
    let missing = || {
        Error::config(
            "`smtp_url` is set but `mail_from` is not; set it to the sender of emails, e.g. \
             `Shop <shop@example.com>`",
        )
    };
    let from = from.ok_or_else(missing);
    let from = from.and_then(|from| named_sender(config, from));
    let (transport, from) = both(smtp_transport(url), from)?;
    Ok(Arc::new(SmtpMailer::new(transport, from)))
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
