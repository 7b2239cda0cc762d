//! A client of the live inventory by server-sent events.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

/// Timeout for an expected event.
const TIMEOUT: Duration = Duration::from_secs(20);

fn request(server: &str, query: &str) -> reqwest::RequestBuilder {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(format!("{server}/api/v1/inventory/events{query}"))
}

/// An open stream.
pub(crate) struct EventStream {
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl EventStream {
    /// Connects to `server`, e.g. `http://127.0.0.1:40000`. `query` is e.g. `?since=1`, or empty. Errors: the status of
    /// a rejection.
    pub(crate) async fn at(
        server: &str,
        query: &str,
        last_event_id: Option<&str>,
    ) -> Result<EventStream, u16> {
        let mut request = request(server, query);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        match response.status().as_u16() {
            200 => Ok(EventStream::of(response)),
            status => Err(status),
        }
    }

    /// Like [`EventStream::at`], of a server that may be killed. Errors: there is no connection, or a rejection.
    pub(crate) async fn try_at(server: &str, query: &str) -> reqwest::Result<EventStream> {
        let response = request(server, query).send().await?;
        Ok(EventStream::of(response.error_for_status()?))
    }

    /// Opens a stream that is never read, with a small receive buffer, which is full soon.
    pub(crate) async fn unread(server: &str, query: &str) -> TcpStream {
        let address = server.strip_prefix("http://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
        let path = format!("/api/v1/inventory/events{query}");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    fn of(response: reqwest::Response) -> EventStream {
        EventStream {
            response,
            unread: Vec::new(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = self.response.headers().get(name)?;
        Some(value.to_str().unwrap())
    }

    /// Returns the next message. Checks that the event's id is its position.
    pub(crate) async fn receive(&mut self) -> Value {
        self.try_receive().await.expect("the stream has ended")
    }

    /// Returns the next message, or `None` if the connection is lost.
    pub(crate) async fn try_receive(&mut self) -> Option<Value> {
        loop {
            let block = self.next_block().await?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            let Some(data) = field("data: ") else {
                assert!(block.starts_with(':'), "a heartbeat: {block}");
                continue;
            };
            let message: Value = serde_json::from_str(data).unwrap();
            assert_eq!(
                field("id: "),
                Some(message["seq"].to_string().as_str()),
                "{block}"
            );
            return Some(message);
        }
    }

    /// Waits for a comment. A message fails the test.
    pub(crate) async fn receive_heartbeat(&mut self) {
        let block = self.next_block().await.expect("the stream has ended");
        assert!(block.starts_with(':'), "{block}");
    }

    /// Returns the text up to the next empty line.
    async fn next_block(&mut self) -> Option<String> {
        loop {
            let text = str::from_utf8(&self.unread).unwrap_or_default();
            if let Some((block, rest)) = text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.as_bytes().to_owned());
                self.unread = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(TIMEOUT, self.response.chunk());
            let chunk = chunk.await.expect("timeout: no event from the shop");
            self.unread.extend_from_slice(&chunk.ok()??);
        }
    }
}
