//! Lingering close: keeps reading after the last response while the client may still be sending. Closing a socket
//! with unread bytes resets the connection, and the client may lose the response (RFC 9112, section 9.6).

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

use super::{connections::Slot, tls::Stream};

/// The maximum number of bytes to discard of a body to keep the connection: the maximum of a JSON body.
const DRAIN_LIMIT: u64 = 256 * 1024;

/// How long a response waits while an unread body is discarded. Small bodies arrive with their head.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The maximum duration of a lingering close: that of a request.
const LINGER_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a lingering connection waits for the next bytes.
const QUIET_TIMEOUT: Duration = Duration::from_secs(5);

/// The same while the server shuts down.
const STOPPING_QUIET_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum number of bytes that a lingering connection discards: more than the largest upload.
const LINGER_LIMIT: usize = 64 * 1024 * 1024;

/// Discards the rest of a request body. Returns whether it was read to its end, so that the connection can be
/// reused.
pub(super) async fn drain(mut body: Incoming) -> bool {
    if body.size_hint().lower() > DRAIN_LIMIT {
        return false;
    }
    let reading = async {
        let mut left = DRAIN_LIMIT;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let size = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    timeout(DRAIN_TIMEOUT, reading).await.unwrap_or(false)
}

/// Spawns the tasks of lingering connections.
#[derive(Debug, Clone)]
pub(super) struct Lingering {
    pub(super) tasks: TaskTracker,
    pub(super) stopping: CancellationToken,
}

impl Lingering {
    /// Closes the sending half, then discards what arrives until the client closes, too. Meanwhile the
    /// connection keeps its slot, and a full server may evict it.
    pub(super) fn close(&self, stream: Stream, slot: Slot) {
        // Without a runtime, the program is exiting.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let stopping = self.stopping.clone();
        let task = async move {
            slot.activity().begin_waiting();
            tokio::select! {
                () = slot.activity().evicted() => {}
                () = discard(stream, &stopping) => {}
            }
        };
        self.tasks.spawn_on(task, &runtime);
    }

    /// Discards the rest of a request body of HTTP/2. `stream` counts it as one of the connection's.
    pub(super) fn discard_body<T: Send + 'static>(&self, body: Incoming, stream: T) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let stopping = self.stopping.clone();
        let task = async move {
            discard_body(body, &stopping).await;
            drop(stream);
        };
        self.tasks.spawn_on(task, &runtime);
    }
}

/// Reads a request body of HTTP/2 to its end, unless the client sends nothing for too long or too much. Dropping it
/// earlier would reset the stream, and some clients would lose the response that they have received.
async fn discard_body(mut body: Incoming, stopping: &CancellationToken) {
    let deadline = Instant::now() + LINGER_TIMEOUT;
    let mut left = LINGER_LIMIT;
    loop {
        let next = deadline.min(Instant::now() + quiet_timeout(stopping));
        let Ok(Some(Ok(frame))) = timeout_at(next, body.frame()).await else {
            return;
        };
        let size = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn quiet_timeout(stopping: &CancellationToken) -> Duration {
    if stopping.is_cancelled() {
        STOPPING_QUIET_TIMEOUT
    } else {
        QUIET_TIMEOUT
    }
}

/// Reads until the client closes, sends nothing for too long, or sends too much.
async fn discard(mut stream: Stream, stopping: &CancellationToken) {
    let deadline = Instant::now() + LINGER_TIMEOUT;
    if !matches!(timeout_at(deadline, stream.shutdown()).await, Ok(Ok(()))) {
        return;
    }
    // What TLS would decrypt is discarded as it is.
    let stream = match &stream {
        Either::Left(stream) => stream,
        Either::Right(stream) => stream.get_ref().0,
    };
    let mut left = LINGER_LIMIT;
    loop {
        let next = deadline.min(Instant::now() + quiet_timeout(stopping));
        if !matches!(timeout_at(next, stream.readable()).await, Ok(Ok(()))) {
            return;
        }
        match read_once(stream) {
            Ok(0) => return,
            Ok(bytes) if bytes >= left => return,
            Ok(bytes) => left -= bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Uses a buffer on the stack, so that lingering connections hold no memory.
fn read_once(stream: &TcpStream) -> io::Result<usize> {
    stream.try_read(&mut [0; 16 * 1024])
}
