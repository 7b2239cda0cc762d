//! Sends emails by SMTP, or writes them to files if no mail server is configured. A mailer tries once; the worker
//! retries.

mod fake;
mod files;
mod smtp;

use std::{io, time::SystemTime};

use futures_util::future::BoxFuture;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

pub use self::{
    fake::FakeMailer,
    files::{DIRECTORY, FileMailer, delete_older},
    smtp::{SmtpMailer, smtp_transport},
};
use super::Refusal;
use crate::core::{
    clock::Timestamp,
    error::{Error, Result},
    id::MailId,
};

/// An email without its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailMessage {
    /// The same for every attempt, so that the recipient's client detects duplicates (RFC 5322, section 3.6.4).
    pub message_id: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub written_at: Timestamp,
    /// The link in the email, if it has one.
    pub link: Option<String>,
}

/// The content of an email that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCopy {
    pub text: String,
    pub html: String,
}

/// Sends emails.
pub trait Mailer: Send + Sync {
    /// Sends an email, once.
    fn send<'a>(&'a self, mail: &'a MailMessage) -> BoxFuture<'a, Result<(), Refusal>>;

    /// Checks that emails can be sent: that the server accepts a connection and the credentials.
    fn check(&self) -> BoxFuture<'_, Result<(), Refusal>>;

    /// Returns the copy of a sent email, if this mailer keeps one. It may contain the token of a link.
    fn sent_copy(&self, _id: MailId) -> BoxFuture<'_, io::Result<Option<SentCopy>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Returns the domain of message ids, the part after the `@`.
    fn domain(&self) -> String;
}

/// Parses the sender: an address, or `Name <address>`.
///
/// Errors: `Config`.
pub fn sender(text: &str) -> Result<Mailbox> {
    text.parse().map_err(|_| {
        Error::config(format!(
            "`mail_from` must look like `Shop <shop@example.com>`, not `{text}`"
        ))
    })
}

/// Parses an address. An internationalised domain is converted to its ASCII form (RFC 5890).
fn address(text: &str) -> Option<Address> {
    let (local, domain) = text.rsplit_once('@')?;
    Address::new(local, idna::domain_to_ascii(domain).ok()?).ok()
}

/// Builds the message (RFC 5322), with alternative text and HTML parts.
fn message(mail: &MailMessage, from: &Mailbox) -> Result<Message, Refusal> {
    let to = address(&mail.to)
        .ok_or_else(|| Refusal::permanent(format!("invalid recipient address `{}`", mail.to)))?;
    let part = |kind, text: &str| SinglePart::builder().header(kind).body(text.to_owned());
    let body = MultiPart::alternative()
        // The message is the same for every attempt.
        .boundary(mail.message_id.replace(['@', '.'], "-"))
        .singlepart(part(ContentType::TEXT_PLAIN, &mail.text))
        .singlepart(part(ContentType::TEXT_HTML, &mail.html));
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject.clone())
        .date(SystemTime::from(mail.written_at))
        .message_id(Some(format!("<{}>", mail.message_id)))
        // Suppresses automatic replies (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .multipart(body)
        .map_err(|error| Refusal::permanent(format!("cannot build the message: {error}")))
}
