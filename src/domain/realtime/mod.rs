//! Live inventory: every committed stock change, in commit order, by `WebSocket`, as server-sent events, and in pages.
//!
//! A subscriber, i.e. a `WebSocket` or an event stream, keeps the sequence number of the last event it was sent and
//! reads those after it. It must never have its own queue: a slow subscriber receives merged updates instead, and costs
//! a bounded amount of memory.

mod batch;
pub mod http;
mod message;
