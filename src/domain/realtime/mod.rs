//! Live inventory over a `WebSocket`: every committed stock change, in commit order.
//!
//! A subscriber, i.e. a `WebSocket` client, keeps the sequence number of the last event it was sent and reads
//! those after it. It must never have its own queue: a slow subscriber receives merged updates instead, and costs
//! no memory.

mod batch;
pub mod http;
mod message;
