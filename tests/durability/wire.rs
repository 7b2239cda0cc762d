//! A connection whose every byte the test decides.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::PATIENCE;

/// One connection of HTTP/1.1.
pub(super) struct Wire(TcpStream);

/// The address in a server's URL.
pub(super) fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

impl Wire {
    pub(super) async fn to(url: &str) -> Wire {
        Wire(TcpStream::connect(address(url)).await.unwrap())
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Asks by GET and tells the whole answer's status; the connection stays.
    pub(super) async fn get(&mut self, path: &str) -> u16 {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: shop.test\r\n\r\n"))
            .await;
        self.answer().await.0
    }

    /// The next answer: its status and its body. One that only says to go on has no body.
    pub(super) async fn answer(&mut self) -> (u16, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(self.byte().await));
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        let mut body = Vec::new();
        while body.len() < length {
            body.push(self.byte().await);
        }
        (status, String::from_utf8(body).unwrap())
    }

    async fn byte(&mut self) -> u8 {
        timeout(PATIENCE, self.0.read_u8())
            .await
            .expect("the server has said nothing for long")
            .expect("the connection broke")
    }
}
