//! The outside world behind traits: each has real drivers and one that needs nothing.

pub mod gateway;
pub mod images;
pub mod mailer;
mod sms;
mod wire;

pub use self::{
    gateway::{Gateway, Mock, Razorpay},
    images::{Cloudinary, ImageStore, NoImages, Objects, Place},
    mailer::{MailMessage, Mailer},
    sms::{Console, FakeSms, Sms},
    wire::Timeouts,
};

/// Why somebody outside did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whether trying again is of no use.
    pub is_final: bool,
    /// For an operator.
    pub why: String,
}

impl Refusal {
    /// Another try may do better.
    pub fn passing(why: impl Into<String>) -> Refusal {
        Refusal {
            is_final: false,
            why: why.into(),
        }
    }

    /// No try will do better.
    pub fn lasting(why: impl Into<String>) -> Refusal {
        Refusal {
            is_final: true,
            why: why.into(),
        }
    }
}
