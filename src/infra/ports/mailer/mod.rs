//! Mail on its way out: to a mail server, or to files where none is set up. It tries once; trying
//! again is the worker's business.

mod files;
mod memory;
mod smtp;

use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

pub use self::{
    files::{DIRECTORY, Files, delete_older},
    memory::FakeMailer,
    smtp::Smtp,
};
use super::Refusal;
use crate::core::{
    clock::Timestamp,
    error::{Error, Result},
};

/// A mail, whole but for who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailMessage {
    /// The same on every try, so that a reader's program knows a repeat (RFC 5322, section 3.6.4).
    pub message_id: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub written_at: Timestamp,
    /// What it asks the reader to open.
    pub link: Option<String>,
}

/// Takes letters out of the shop.
pub trait Mailer: Send + Sync {
    /// Hands a letter over, or says why not.
    fn send<'a>(&'a self, letter: &'a MailMessage) -> BoxFuture<'a, Result<(), Refusal>>;

    /// What the part of a message's id behind the `@` is.
    fn domain(&self) -> String;
}

/// Who sends: a mail address, alone or as `Name <address>`.
pub fn sender(text: &str) -> Result<Mailbox> {
    text.parse().map_err(|_| {
        Error::config(format!(
            "`mail_from` must be as `Shop <shop@example.com>`, not `{text}`"
        ))
    })
}

/// An address as mail servers take it: an international domain in its ASCII form (RFC 5890).
fn address(text: &str) -> Option<Address> {
    let (local, domain) = text.rsplit_once('@')?;
    Address::new(local, idna::domain_to_ascii(domain).ok()?).ok()
}

/// The letter as a message (RFC 5322): text and HTML, the reader's program chooses.
fn message(letter: &MailMessage, from: &Mailbox) -> Result<Message, Refusal> {
    let to = address(&letter.to)
        .ok_or_else(|| Refusal::lasting(format!("nobody can write to `{}`", letter.to)))?;
    let millis = u64::try_from(letter.written_at.0).unwrap_or_default();
    let part = |kind, text: &str| SinglePart::builder().header(kind).body(text.to_owned());
    let body = MultiPart::alternative()
        // Nothing of it changes from one try to the next.
        .boundary(letter.message_id.replace(['@', '.'], "-"))
        .singlepart(part(ContentType::TEXT_PLAIN, &letter.text))
        .singlepart(part(ContentType::TEXT_HTML, &letter.html));
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(letter.subject.clone())
        .date(UNIX_EPOCH + Duration::from_millis(millis))
        .message_id(Some(format!("<{}>", letter.message_id)))
        // So that nobody's absence note answers it (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .multipart(body)
        .map_err(|error| Refusal::lasting(format!("it is no message: {error}")))
}
