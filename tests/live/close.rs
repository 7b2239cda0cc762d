//! The end of WebSocket connections (RFC 6455), tested with hand-written frames.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Engine, TestShop, live::Served};

/// Timeout for a frame from the server.
const TIMEOUT: Duration = Duration::from_secs(20);

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Maximum size of a message, in bytes.
const MAX_MESSAGE_SIZE: usize = 64 * 1024;

const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// Builds a masked frame; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = masked_head(first, payload.len());
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// Builds the start of a frame, up to its length.
fn head(first: u8, mask: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
        126..65536 => {
            bytes.push(mask | 0x7e);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(mask | 0x7f);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes
}

fn masked_head(first: u8, length: usize) -> Vec<u8> {
    [head(first, 0x80, length), MASK.to_vec()].concat()
}

/// Builds a close frame with a code and a reason.
fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A WebSocket after its handshake and HELLO.
struct Socket(TcpStream);

impl Socket {
    async fn open(served: &Served) -> Socket {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let handshake = "GET /api/v1/ws HTTP/1.1\r\nhost: shop.test\r\nconnection: Upgrade\r\n\
            upgrade: websocket\r\nsec-websocket-version: 13\r\n\
            sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(handshake.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        let mut socket = Socket(stream);
        let (opcode, hello) = socket.receive().await.unwrap();
        assert!(opcode == TEXT && hello.starts_with(b"{\"type\":\"HELLO\""));
        socket
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Returns the opcode and payload of the next frame, which must be unfragmented and unmasked. Returns
    /// `None` if the server has closed the connection; a reset fails the test.
    async fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let reading = async {
            let mut head = [0; 2];
            if self.0.read(&mut head[..1]).await.expect("no reset") == 0 {
                return None;
            }
            self.0.read_exact(&mut head[1..]).await.unwrap();
            assert_eq!(head[0] & 0xf0, FIN, "unfragmented, without extensions");
            let length = match head[1] {
                126 => self.0.read_u16().await.unwrap().into(),
                length => usize::from(length),
            };
            assert!(length < 0x80 || head[1] == 126, "unmasked");
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            Some((head[0] & 0x0f, payload))
        };
        timeout(TIMEOUT, reading)
            .await
            .expect("the server is silent")
    }

    /// Expects a close frame, optionally replies to it, and expects the end of the connection. Returns the
    /// code and the reason.
    async fn close_frame(mut self, reply: bool) -> (Option<u16>, Vec<u8>) {
        let (opcode, payload) = self.receive().await.expect("a close frame");
        assert_eq!(opcode, CLOSE, "{payload:?}");
        if reply {
            // The server does not read after it has failed the connection.
            drop(self.0.write_all(&frame(FIN | CLOSE, &payload)).await);
        }
        assert_eq!(self.receive().await, None, "the server closes first");
        match payload.split_first_chunk() {
            Some((code, reason)) => (Some(u16::from_be_bytes(*code)), reason.to_vec()),
            None => (None, payload),
        }
    }
}

async fn served() -> Served {
    Served::start(&TestShop::on(Engine::Sqlite).await.unwrap()).await
}

/// Sends the frames on a new connection. Returns the code with which the server closes it.
async fn close_code_for(served: &Served, frames: &[u8]) -> Option<u16> {
    let mut socket = Socket::open(served).await;
    socket.send(frames).await;
    socket.close_frame(true).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_frame_gets_a_reply_with_the_same_code() {
    let served = served().await;
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        let mut socket = Socket::open(&served).await;
        socket.send(&close(code, "bye 👋".as_bytes())).await;
        assert_eq!(
            socket.close_frame(false).await,
            (Some(code), "bye 👋".into())
        );
    }
    let mut socket = Socket::open(&served).await;
    socket.send(&frame(FIN | CLOSE, b"")).await;
    assert_eq!(
        socket.close_frame(false).await,
        (None, vec![]),
        "a frame without a code gets a reply without a code"
    );
    let mut socket = Socket::open(&served).await;
    let late = [
        close(1000, b""),
        frame(FIN | TEXT, b"{}"),
        frame(FIN | PING, b"late"),
    ];
    socket.send(&late.concat()).await;
    let (code, _) = socket.close_frame(false).await;
    assert_eq!(code, Some(1000), "frames after a close frame get no reply");
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_close_frame_fails_the_connection() {
    let served = served().await;
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        assert_eq!(
            close_code_for(&served, &close(code, b"")).await,
            Some(1002),
            "{code}"
        );
    }
    assert_eq!(
        close_code_for(&served, &frame(FIN | CLOSE, b"\x03")).await,
        Some(1002)
    );
    assert_eq!(
        close_code_for(&served, &close(1000, b"\xff")).await,
        Some(1007)
    );
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protocol_violation_fails_the_connection() {
    let served = served().await;
    for reserved in [0x10, 0x20, 0x40, 0x70] {
        let frame = frame(FIN | reserved | TEXT, b"{}");
        assert_eq!(
            close_code_for(&served, &frame).await,
            Some(1002),
            "bits {reserved:x}"
        );
    }
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        for payload in [&b""[..], b"x"] {
            let frame = frame(FIN | opcode, payload);
            assert_eq!(
                close_code_for(&served, &frame).await,
                Some(1002),
                "opcode {opcode:x}"
            );
        }
    }
    for control in [CLOSE, PING, PONG] {
        assert_eq!(
            close_code_for(&served, &frame(control, b"")).await,
            Some(1002),
            "fragmented"
        );
        let long = frame(FIN | control, &[b'x'; 126]);
        assert_eq!(
            close_code_for(&served, &long).await,
            Some(1002),
            "longer than 125 bytes"
        );
    }
    for (first, payload) in [
        (FIN | TEXT, &b"{}"[..]),
        (FIN | PING, b""),
        (FIN | CLOSE, b""),
    ] {
        let unmasked = [&head(first, 0, payload.len()), payload].concat();
        assert_eq!(
            close_code_for(&served, &unmasked).await,
            Some(1002),
            "unmasked"
        );
    }
    for first in [CONTINUATION, FIN | CONTINUATION] {
        assert_eq!(
            close_code_for(&served, &frame(first, b"{}")).await,
            Some(1002),
            "continuation without a message"
        );
    }
    for data in [TEXT, BINARY] {
        let both = [frame(TEXT, b"{"), frame(FIN | data, b"}")].concat();
        assert_eq!(
            close_code_for(&served, &both).await,
            Some(1002),
            "inside another message"
        );
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_utf_8_fails_the_connection() {
    let served = served().await;
    for text in [
        &b"\xff"[..],
        b"{\"type\":\"\xc0\xaf\"}",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        assert_eq!(
            close_code_for(&served, &frame(FIN | TEXT, text)).await,
            Some(1007),
            "{text:x?}"
        );
        let (first, rest) = text.split_at(1);
        let parts = [frame(TEXT, first), frame(FIN | CONTINUATION, rest)].concat();
        assert_eq!(
            close_code_for(&served, &parts).await,
            Some(1007),
            "{text:x?} in fragments"
        );
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fragments_and_pings_are_allowed() {
    let served = served().await;
    let mut socket = Socket::open(&served).await;
    let [first, second] = ["{\"type\":\"\u{20ac}".as_bytes(), b"\"}"];
    // The first fragment ends inside a character.
    let (first, middle) = first.split_at(first.len() - 2);
    let parts = [
        frame(TEXT, first),
        frame(FIN | PING, b"are you there?"),
        frame(CONTINUATION, middle),
        frame(FIN | PONG, b"unsolicited"),
        frame(CONTINUATION, b""),
        frame(FIN | CONTINUATION, second),
    ];
    socket.send(&parts.concat()).await;
    assert_eq!(
        socket.receive().await,
        Some((PONG, b"are you there?".to_vec()))
    );
    let (opcode, error) = socket.receive().await.unwrap();
    assert!(opcode == TEXT && error.starts_with(b"{\"type\":\"ERROR\""));
    let largest = frame(FIN | TEXT, &vec![b' '; MAX_MESSAGE_SIZE]);
    socket.send(&largest).await;
    let (opcode, error) = socket.receive().await.unwrap();
    assert!(opcode == TEXT && error.starts_with(b"{\"type\":\"ERROR\""));
    let longest = [b'x'; 125];
    socket.send(&frame(FIN | PING, &longest)).await;
    assert_eq!(socket.receive().await, Some((PONG, longest.to_vec())));
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_and_binary_messages_close_the_connection() {
    let served = served().await;
    assert_eq!(
        close_code_for(&served, &masked_head(FIN | TEXT, MAX_MESSAGE_SIZE + 1)).await,
        Some(1009)
    );
    assert_eq!(
        close_code_for(&served, &masked_head(FIN | TEXT, usize::MAX)).await,
        Some(1009)
    );
    let half = vec![b' '; MAX_MESSAGE_SIZE / 2 + 1];
    let parts = [frame(TEXT, &half), frame(FIN | CONTINUATION, &half)].concat();
    assert_eq!(close_code_for(&served, &parts).await, Some(1009));
    let fragments = frame(CONTINUATION, b" ").repeat(MAX_MESSAGE_SIZE);
    let parts = [frame(TEXT, b" "), fragments].concat();
    assert_eq!(close_code_for(&served, &parts).await, Some(1009));
    assert_eq!(
        close_code_for(&served, &frame(FIN | BINARY, b"{}")).await,
        Some(1003)
    );
    let parts = [frame(BINARY, b"{"), frame(FIN | CONTINUATION, b"}")].concat();
    assert_eq!(close_code_for(&served, &parts).await, Some(1003));
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_empty_fragments_closes_the_connection() {
    let served = served().await;
    let empty = frame(CONTINUATION, b"");
    for flood in [
        [frame(TEXT, b""), empty.repeat(10_000)].concat(),
        [frame(BINARY, b"{"), empty.repeat(10_000)].concat(),
        [frame(TEXT, &[b' '; 300]), empty.repeat(10_000)].concat(),
    ] {
        let mut socket = Socket::open(&served).await;
        // Frames are cut at every position.
        for part in flood.chunks(997) {
            socket.send(part).await;
        }
        assert_eq!(socket.close_frame(true).await.0, Some(1008));
    }
    let mut socket = Socket::open(&served).await;
    let few = [
        frame(TEXT, b""),
        empty.repeat(20),
        frame(FIN | CONTINUATION, b"{}"),
    ];
    socket.send(&few.concat()).await;
    let (opcode, error) = socket.receive().await.unwrap();
    assert!(opcode == TEXT && error.starts_with(b"{\"type\":\"ERROR\""));
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_frame_reaches_a_client_that_is_still_sending() {
    let served = served().await;
    let mut socket = Socket::open(&served).await;
    // Far more than all buffers in between can hold.
    socket.send(&masked_head(FIN | TEXT, 20 << 20)).await;
    for _ in 0..20 {
        socket.send(&vec![b' '; 1 << 20]).await;
    }
    assert_eq!(socket.close_frame(true).await.0, Some(1009));
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_waits_briefly_for_the_reply_to_its_close_frame() {
    let served = served().await;
    let mut answering = Socket::open(&served).await;
    let silent = Socket::open(&served).await;
    served.begin_stop();
    let (opcode, payload) = answering.receive().await.unwrap();
    assert_eq!(
        (opcode, &payload[..2]),
        (CLOSE, &1001_u16.to_be_bytes()[..])
    );
    answering.send(&close(1001, b"")).await;
    assert_eq!(answering.receive().await, None);
    assert_eq!(silent.close_frame(false).await.0, Some(1001));
    timeout(TIMEOUT, served.stopped()).await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsupported_protocol_version_is_rejected_with_the_supported_one() {
    let shop = TestShop::on(Engine::Sqlite).await.unwrap();
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "8"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let anonymous = shop.anonymous();
    let refused = anonymous
        .call(http::Method::GET, "/ws", &headers, serde_json::Value::Null)
        .await;
    refused.assert_problem(400, "invalid-header");
    assert_eq!(refused.header("sec-websocket-version"), Some("13"));
}
