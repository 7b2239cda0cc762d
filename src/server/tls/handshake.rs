//! The TLS handshake of one connection.

use std::io;

use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

use super::Tls;

/// The maximum number of bytes that one connection buffers before they are encrypted. A larger buffer would hide a
/// slow reader.
const BUFFER_LIMIT: usize = 16 * 1024;

/// A connection without or with TLS.
pub(in crate::server) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The version of HTTP that a connection uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Protocol {
    Http1,
    Http2,
}

impl Tls {
    /// Runs the handshake.
    ///
    /// Errors: the client does not speak TLS, or accepts neither the certificate nor the protocols.
    pub(in crate::server) async fn handshake(
        &self,
        stream: TcpStream,
    ) -> io::Result<(Stream, Protocol)> {
        let acceptor = TlsAcceptor::from(self.config.clone());
        let limit = |connection: &mut rustls::ServerConnection| {
            connection.set_buffer_limit(Some(BUFFER_LIMIT));
        };
        let stream = acceptor.accept_with(stream, limit).await?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((Either::Right(Box::new(stream)), protocol))
    }
}
