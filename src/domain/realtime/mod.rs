//! Live inventory: every committed change of stock, told in the order of commits.
//!
//! A listener keeps a position in the log of events and takes what lies behind it. It must never
//! hold a queue of its own: who reads slowly gets merged updates and costs no memory.

pub mod http;
mod socket;
mod update;

pub use self::update::Update;
