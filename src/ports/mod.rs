//! The outside world behind traits: each has real drivers and one that needs nothing.

mod gateway;
pub mod images;
pub mod mailer;
mod sms;

pub use self::{
    gateway::{Gateway, Mock},
    images::{Cloudinary, ImageStore, Objects, Place},
    mailer::{Letter, Mailer, Refusal},
    sms::{Console, Pocket, Sms},
};
