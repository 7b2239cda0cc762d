//! HTTP/2: the limits of a connection and of its streams.

use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::{Method, Request, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::timeout,
};

use super::{CertificateFiles, TIMEOUT};
use crate::support::Process;

/// Types of frames.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// The code of an error that a misbehaving client causes.
const ENHANCE_YOUR_CALM: u8 = 11;

/// A connection of a client that controls its frames.
struct Connection {
    requests: SendRequest<Bytes>,
    /// Ends with the connection.
    task: JoinHandle<Result<(), h2::Error>>,
    max_streams: usize,
}

impl Connection {
    async fn to(files: &CertificateFiles, server: &Process) -> Connection {
        let stream = files.connect(server, &["h2"]).await;
        let (requests, connection) = client::handshake(stream).await.unwrap();
        let mut requests = requests.ready().await.unwrap();
        let task_requests = requests.clone();
        let connection = Box::pin(connection);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut connection = connection;
            // The server's settings have arrived once it has answered a request.
            let first = tokio::select! {
                ended = &mut connection => return ended,
                answer = answer_of(task_requests, get("/healthz")) => answer,
            };
            assert_eq!(first, StatusCode::OK);
            sender
                .send(connection.max_concurrent_send_streams())
                .unwrap();
            connection.await
        });
        let max_streams = receiver.await.unwrap();
        requests = requests.ready().await.unwrap();
        Connection {
            requests,
            task,
            max_streams,
        }
    }

    async fn get(&self, path: &str) -> StatusCode {
        answer_of(self.requests.clone(), get(path)).await
    }

    /// Waits until the server closes the connection.
    async fn closed(self) -> Result<(), h2::Error> {
        drop(self.requests);
        let ended = timeout(TIMEOUT, self.task).await;
        ended.expect("the connection stays open").unwrap()
    }
}

fn get(path: &str) -> Request<()> {
    let url = format!("https://localhost{path}");
    Request::get(url).body(()).unwrap()
}

async fn answer_of(requests: SendRequest<Bytes>, request: Request<()>) -> StatusCode {
    let mut requests = requests.ready().await.unwrap();
    let (answer, _) = requests.send_request(request, true).unwrap();
    let answer = timeout(TIMEOUT, answer)
        .await
        .expect("no response")
        .unwrap();
    answer.status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_a_limited_number_of_streams() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let server = files.start(directory.path(), &[]);
    let connection = Connection::to(&files, &server).await;
    assert_eq!(connection.max_streams, 100);
    let requests = (0..300).map(|_| connection.get("/healthz"));
    let answers = futures_util::future::join_all(requests).await;
    assert!(answers.iter().all(|status| *status == StatusCode::OK));
}

/// Returns a frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()];
    [&head.concat(), payload].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rapid_reset_closes_the_connection() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let server = files.start(directory.path(), &[]);
    let mut stream = files.connect(&server, &["h2"]).await;
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    // `:method GET`, `:scheme https`, `:path /`, `:authority localhost`, in HPACK.
    let head = [&[0x82, 0x87, 0x84, 0x01, 9], &b"localhost"[..]].concat();
    for id in (1..200).step_by(2) {
        sent.extend(frame(HEADERS, 0x05, id, &head));
        sent.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    stream.write_all(&sent).await.unwrap();
    let mut received = Vec::new();
    // The connection is reset, since the server has not read everything.
    let _ = timeout(TIMEOUT, stream.read_to_end(&mut received))
        .await
        .expect("it stays open");
    let mut rest = &received[..];
    let mut codes = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, payload @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if *kind == GOAWAY {
            codes.push(payload[7]);
        }
        rest = &payload[length..];
    }
    assert_eq!(codes, [ENHANCE_YOUR_CALM]);
    let another = Connection::to(&files, &server).await;
    assert_eq!(another.get("/healthz").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_closes_after_keep_alive() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let server = files.start(directory.path(), &[("SHOP_KEEP_ALIVE", "3s")]);
    let connection = Connection::to(&files, &server).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(connection.get("/healthz").await, StatusCode::OK);
    }
    let _ = timeout(TIMEOUT, connection.task)
        .await
        .expect("it stays open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_limited_and_the_connection_stays_usable() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let server = files.start(directory.path(), &[]);
    let connection = Connection::to(&files, &server).await;
    let with_header = |size: usize| {
        let request =
            Request::get("https://localhost/healthz").header("x-filler", "x".repeat(size));
        answer_of(connection.requests.clone(), request.body(()).unwrap())
    };
    assert_eq!(with_header(40_000).await, StatusCode::OK);
    assert_eq!(
        with_header(70_000).await,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
    let other_host = Request::get("https://localhost/healthz").header("host", "other.example");
    let other_host = other_host.body(()).unwrap();
    let refused = answer_of(connection.requests.clone(), other_host).await;
    assert_eq!(refused, StatusCode::BAD_REQUEST);
    assert_eq!(connection.get("/healthz").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_to_an_unread_body_leaves_the_connection_usable() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let server = files.start(directory.path(), &[]);
    let connection = Connection::to(&files, &server).await;
    let mut requests = connection.requests.clone().ready().await.unwrap();
    let request = Request::builder()
        .method(Method::POST)
        .uri("https://localhost/api/v1/payments/razorpay/webhook");
    let (answer, mut body) = requests
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    let answer = timeout(TIMEOUT, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    // The server discards the body instead of resetting the stream, which some clients report as an error.
    let mut left = 1_000_000;
    while left > 0 {
        body.reserve_capacity(left);
        let room = timeout(TIMEOUT, std::future::poll_fn(|cx| body.poll_capacity(cx))).await;
        let room = room.unwrap().unwrap().unwrap().min(left);
        left -= room;
        body.send_data(Bytes::from(vec![b'x'; room]), left == 0)
            .unwrap();
    }
    assert_eq!(connection.get("/healthz").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_finishes_http_2_connections() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let server = files.start(directory.path(), &[]);
    let connection = Connection::to(&files, &server).await;
    server.terminate();
    connection.closed().await.unwrap();
    assert_eq!(server.wait().code(), Some(0));
}
