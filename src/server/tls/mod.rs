//! TLS of the listener: the certificate, where it comes from, and the handshake.
//!
//! | file | contents |
//! |---|---|
//! | `certificate.rs` | a certificate chain with its key, checked |
//! | `source.rs` | the files of the certificate: reload and expiry |
//! | `handshake.rs` | the handshake of one connection, and the protocol it negotiates |

mod certificate;
mod handshake;
mod source;

pub use self::source::Tls;
pub(super) use self::{
    handshake::{Protocol, Stream},
    source::check,
};
