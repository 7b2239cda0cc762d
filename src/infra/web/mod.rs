//! HTTP for every route: extractors, responses, problems, rate limits and idempotency.
//!
//! It knows HTTP and no word of the shop.

pub mod body;
pub mod client;
pub mod extract;
pub mod idempotency;
pub mod keyed_hash;
pub mod limits;
pub mod openapi;
pub mod problems;
mod query;
pub mod respond;
pub mod shares;
pub mod single_flight;
mod skipped;
pub mod token;
mod turns;
mod workers;

pub use self::{
    turns::KeyedLocks,
    workers::{Permits, Worker, Workers},
};
