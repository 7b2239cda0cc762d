//! The HTTP client for the server that runs on the data directory.

use crate::core::error::{Error, Result};

/// Returns a client for that server only. It does not check the certificate, which need not be valid for the address:
/// the server runs on this machine and holds the lock. Send no credentials by it.
pub fn client() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(Error::internal)
}
