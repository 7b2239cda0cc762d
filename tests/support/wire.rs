//! A raw HTTP/1.1 connection: the test controls every byte.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// The test fails if the server sends nothing for this long.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A raw connection to the server.
pub(crate) struct Wire(TcpStream);

/// Returns the address in a server's URL.
pub(crate) fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

impl Wire {
    pub(crate) async fn to(url: &str) -> Wire {
        Wire(TcpStream::connect(address(url)).await.unwrap())
    }

    /// Connects from another local address, e.g. `127.0.0.2`.
    pub(crate) async fn from(source: &str, server: SocketAddr) -> Wire {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::new(source.parse().unwrap(), 0))
            .unwrap();
        Wire(socket.connect(server).await.unwrap())
    }

    /// Like [`Wire::send`], on a connection that the server may have closed.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Returns the status of the next response, or `None` if the connection ends first.
    pub(crate) async fn try_answer(&mut self) -> Option<u16> {
        let mut head = Vec::new();
        while !head.ends_with(b" ") || head.len() < 12 {
            let read = timeout(TIMEOUT, self.0.read_u8()).await;
            head.push(read.expect("the server sent nothing in time").ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        head.split(' ').nth(1).unwrap().parse().ok()
    }

    /// Returns the status of a response to an incomplete request, or `None` if there is none within a second.
    pub(crate) async fn early_answer(&mut self) -> Option<u16> {
        let answered = timeout(Duration::from_secs(1), self.try_answer());
        answered.await.ok().flatten()
    }

    /// Waits for the next byte. Returns whether the server closed the connection instead.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let read = timeout(TIMEOUT, self.0.read_u8()).await;
        read.expect("the connection stays open").is_err()
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a GET request, reads the whole response and returns its status.
    pub(crate) async fn get(&mut self, path: &str) -> u16 {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: shop.test\r\n\r\n"))
            .await;
        self.answer().await.0
    }

    /// Reads the next response and returns its status and body. `100 Continue` has no body.
    pub(crate) async fn answer(&mut self) -> (u16, String) {
        let (status, _, body) = self.full_answer().await;
        (status, body)
    }

    /// Like [`Wire::answer`], and also returns the head in lower case.
    pub(crate) async fn full_answer(&mut self) -> (u16, String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(self.byte().await));
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        let mut body = Vec::new();
        while body.len() < length {
            body.push(self.byte().await);
        }
        (status, head, String::from_utf8(body).unwrap())
    }

    async fn byte(&mut self) -> u8 {
        timeout(TIMEOUT, self.0.read_u8())
            .await
            .expect("the server sent nothing in time")
            .expect("the connection broke")
    }
}
