//! TLS of the listener: the certificate, where it comes from, and the handshake.
//!
//! | file | contents |
//! |---|---|
//! | `certificate.rs` | a certificate chain with its key, checked |
//! | `source.rs` | where the certificate comes from: files or ACME; reload and expiry |
//! | `handshake.rs` | the handshake of one connection, and the protocol it negotiates |
//! | `acme/` | orders certificates, and answers their challenges |

mod acme;
mod certificate;
mod handshake;
mod source;

pub use self::source::{Tls, stored_expiry};
pub(super) use self::{
    acme::{ACCOUNT as ACME_ACCOUNT, CERTIFICATE as ACME_CERTIFICATE},
    handshake::{Protocol, Stream},
    source::{EXPIRY_NOTICE, check},
};
