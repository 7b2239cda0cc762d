//! The outside world behind traits: each has real drivers and one that needs nothing.

mod gateway;
mod images;
pub mod mailer;
mod sms;

pub use self::{
    gateway::{Gateway, Mock},
    images::ImageStore,
    mailer::{Letter, Mailer, Refusal},
    sms::{Console, Pocket, Sms},
};
