//! HTTP infrastructure that every route shares. It does not depend on the domains.
//!
//! - requests: [`extract`] (JSON, query, path, bearer token), [`body`] (limits), [`client`] (client address);
//! - responses: [`respond`] (JSON, pages, errors), [`problems`] (the table of problem codes), [`openapi`];
//! - [`response_cache`]: responses that are the same for every client;
//! - [`idempotency`]: replay of committed responses by `Idempotency-Key`;
//! - [`request_context`]: what the log says about a request; [`refused_origins`]: warnings about pages;
//! - [`jwt`]: access tokens; [`keyed_hash`]: HMAC of values that are easy to guess;
//! - fairness and overload: [`rate_limits`] (requests per minute), [`client_quota`] (concurrent use per client
//!   network), [`Permits`], [`BlockingPool`], [`DedicatedThread`], [`single_flight`], [`ClientTimeouts`],
//!   [`FragmentFlood`].

pub mod body;
mod bounded_pool;
pub mod client;
pub mod client_quota;
mod client_timeouts;
pub mod extract;
pub mod field_errors;
mod fragment_flood;
pub mod idempotency;
mod ignored_json;
pub mod jwt;
pub mod keyed_hash;
pub mod openapi;
pub mod problems;
mod query;
pub mod rate_limits;
pub mod refused_origins;
pub mod request_context;
pub mod respond;
pub mod response_cache;
pub mod single_flight;

pub use self::{
    bounded_pool::{BlockingPool, DedicatedThread, Permits},
    client_timeouts::ClientTimeouts,
    fragment_flood::FragmentFlood,
};
