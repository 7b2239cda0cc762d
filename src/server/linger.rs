//! The end of a connection whose client may still be sending. A socket that is closed with bytes unread
//! resets the connection, and the client may lose a response that was already on its way (RFC 9112,
//! section 9.6).

use std::{io, time::Duration};

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::connections::Slot;

/// How many bytes of a body are discarded to keep the connection: as many as a JSON body may have.
const DRAIN_LIMIT: u64 = 256 * 1024;

/// How long a response waits for the end of a body that nobody reads. Small bodies arrive with their head.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a closed connection reads on, in total: as long as a request may take.
const LINGER_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a closed connection waits for the next bytes.
const QUIET_TIMEOUT: Duration = Duration::from_secs(5);

/// The same while the server is stopping.
const STOPPING_QUIET_TIMEOUT: Duration = Duration::from_secs(1);

/// How many bytes a closed connection discards: more than the largest upload.
const LINGER_LIMIT: usize = 64 * 1024 * 1024;

/// Discards the rest of a request's body. Returns whether it has ended, so that the connection can go on.
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

/// Where closed connections linger.
#[derive(Debug, Clone)]
pub(super) struct Lingering {
    pub(super) tasks: TaskTracker,
    pub(super) stopping: CancellationToken,
}

impl Lingering {
    /// Closes a connection in both steps: no more is sent, and what arrives is discarded until the client
    /// closes, too. Its slot stays taken meanwhile, and a full server may evict it.
    pub(super) fn close(&self, stream: TcpStream, slot: Slot) {
        // Without a runtime the program is at its end.
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
}

/// Reads until the client closes, is silent for too long, or has sent too much.
async fn discard(mut stream: TcpStream, stopping: &CancellationToken) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let deadline = Instant::now() + LINGER_TIMEOUT;
    let mut left = LINGER_LIMIT;
    loop {
        let quiet = if stopping.is_cancelled() {
            STOPPING_QUIET_TIMEOUT
        } else {
            QUIET_TIMEOUT
        };
        let next = deadline.min(Instant::now() + quiet);
        if !matches!(timeout_at(next, stream.readable()).await, Ok(Ok(()))) {
            return;
        }
        match read_once(&stream) {
            Ok(0) => return,
            Ok(bytes) if bytes >= left => return,
            Ok(bytes) => left -= bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// The buffer is on the stack, so that a lingering connection keeps no memory.
fn read_once(stream: &TcpStream) -> io::Result<usize> {
    stream.try_read(&mut [0; 16 * 1024])
}
