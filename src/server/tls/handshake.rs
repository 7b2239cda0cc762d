//! The TLS handshake of one connection.

use std::io;

use rustls::server::Acceptor;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, server::TlsStream};
use tokio_util::either::Either;

use super::{
    Tls,
    acme::{Acme, is_challenge},
    source::Source,
};

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
    /// Runs the handshake. Returns `None` if it was the certificate authority's, which sends no request.
    ///
    /// Errors: the client does not speak TLS, or accepts neither the certificate nor the protocols.
    pub(in crate::server) async fn handshake(
        &self,
        stream: TcpStream,
    ) -> io::Result<Option<(Stream, Protocol)>> {
        let handshake = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if let Source::Acme(acme) = &self.source
            && is_challenge(&handshake.client_hello())
        {
            answer_challenge(acme, handshake).await?;
            return Ok(None);
        }
        let limit = |connection: &mut rustls::ServerConnection| {
            connection.set_buffer_limit(Some(BUFFER_LIMIT));
        };
        let stream = handshake
            .into_stream_with(self.config.clone(), limit)
            .await?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok(Some((Either::Right(Box::new(stream)), protocol)))
    }
}

async fn answer_challenge(acme: &Acme, handshake: StartHandshake<TcpStream>) -> io::Result<()> {
    let domain = handshake.client_hello().server_name().map(str::to_owned);
    let answer = acme.answer(&domain.unwrap_or_default()).await;
    let config = answer
        .map_err(io::Error::other)?
        .ok_or_else(|| io::Error::other("there is no challenge for this domain"))?;
    handshake.into_stream(config).await?.shutdown().await
}
