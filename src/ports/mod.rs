//! The outside world behind traits: each has real drivers and one that needs nothing.

mod gateway;
mod images;

pub use self::{
    gateway::{Gateway, Mock},
    images::ImageStore,
};
