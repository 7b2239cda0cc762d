//! Protection against hostile clients: sizes and framing of requests, numbers and timeouts of connections.

mod attacks;
mod bodies;
mod connections;
mod early_response;
mod framing;
mod idle;
