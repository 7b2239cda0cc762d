//! Live inventory over a `WebSocket`: every committed stock change, in commit order.
//!
//! A listener keeps a position in the event log and reads the events after it. It must never have its own
//! queue: a slow listener receives merged updates instead, and costs no memory.

pub mod http;
mod inventory_update;
