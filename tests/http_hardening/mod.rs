//! What strangers may do to the server: the size and framing of requests, the number and the pace of
//! connections.

mod attacks;
mod bodies;
mod connections;
mod early;
mod framing;
mod idle;
