//! Traits for external services and their drivers. Each service has a driver that needs no account, for
//! development and tests.
//!
//! - [`Gateway`]: payments ([`Razorpay`], [`Mock`]);
//! - [`ImageStore`]: images ([`Objects`] for a directory or S3, [`Cloudinary`]);
//! - [`Mailer`]: email ([`mailer::SmtpMailer`], [`mailer::FileMailer`]);
//! - [`Sms`]: text messages ([`Console`]);
//! - [`AcmeTransport`]: a certificate authority.

mod acme;
pub mod bucket;
pub mod gateway;
mod http_client;
pub mod images;
pub mod mailer;
mod sms;

pub use self::{
    acme::AcmeTransport,
    gateway::{Gateway, Mock, Razorpay},
    http_client::Timeouts,
    images::{Cloudinary, ImageStore, NoImages, Objects, StoreLocation},
    mailer::{MailMessage, Mailer},
    sms::{Console, FakeSms, Sms},
};

/// Why a request to an external service failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whether a retry cannot succeed.
    pub is_permanent: bool,
    /// The reason, for the operator.
    pub why: String,
}

impl Refusal {
    /// A transient error: a retry may succeed.
    pub fn transient(why: impl Into<String>) -> Refusal {
        Refusal {
            is_permanent: false,
            why: why.into(),
        }
    }

    /// A permanent error: a retry cannot succeed.
    pub fn permanent(why: impl Into<String>) -> Refusal {
        Refusal {
            is_permanent: true,
            why: why.into(),
        }
    }
}
