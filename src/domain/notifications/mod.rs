//! Email notifications, sent from a transactional outbox.
//!
//! Operations write emails to the outbox in their own transaction (`Tx::mail`), with a job each. After the
//! commit, [`worker`] renders and sends them at least once, always with the same Message-ID. An email that
//! cannot be sent stays in the outbox, with a dead job that an operator can retry or drop.

pub mod http;
mod mail;
mod outbox;
mod store;
mod templates;
mod verify;
pub mod worker;

pub use self::{
    mail::{Mail, MailState},
    outbox::{after, delete_expired_sent, drop_dead, is_unsent, list, mail, recipient, retry},
    templates::{RenderedEmail, Templates, templates},
    verify::verify,
};
