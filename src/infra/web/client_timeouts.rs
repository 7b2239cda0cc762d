//! How long the server waits for clients.

use std::time::Duration;

/// Timeouts that tests shorten.
#[derive(Debug, Clone, Copy)]
pub struct ClientTimeouts {
    /// The maximum duration of a request, including reading its body.
    pub request: Duration,
    /// The maximum time for the first byte of a connection, for the TLS handshake, and for the rest of a request's head.
    pub head: Duration,
    /// How often a WebSocket client is pinged, and an idle event stream gets a comment. A WebSocket client that has not
    /// replied by the next ping is disconnected.
    pub ping_interval: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> ClientTimeouts {
        ClientTimeouts {
            request: Duration::from_mins(1),
            head: Duration::from_secs(15),
            ping_interval: Duration::from_secs(30),
        }
    }
}
