//! The deadlines of a connection, for reading and for writing.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// The maximum time without progress of a write.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// In each window in which bytes are always pending, the client must receive [`MIN_BYTES`].
const RATE_WINDOW: Duration = Duration::from_mins(1);

/// 1 KiB per second of [`RATE_WINDOW`].
const MIN_BYTES: usize = 60 * 1024;

/// A write within this time after the last one belongs to the same window.
const CONTINUES_WITHIN: Duration = Duration::from_secs(1);

/// What an idle connection, or one that reads a head, waits for. Any change starts a new deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) requests: u64,
    /// Whether bytes of a head have arrived.
    pub(super) has_begun: bool,
    pub(super) written: u64,
}

/// The deadlines of a connection that is idle or reads a request's head.
pub(super) struct ReadDeadline {
    /// The maximum time for a head.
    head: Duration,
    /// The maximum time between two requests.
    keep_alive: Duration,
    wait: Option<Wait>,
    deadline: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl ReadDeadline {
    pub(super) fn new(head: Duration, keep_alive: Duration) -> ReadDeadline {
        ReadDeadline {
            head,
            keep_alive,
            wait: None,
            deadline: Instant::now(),
            sleep: None,
        }
    }

    /// Ready when the client has sent nothing for too long. Each new wait has its own deadline.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>, wait: Wait) -> Poll<()> {
        if self.wait != Some(wait) {
            let is_keep_alive = wait.requests > 0 && !wait.has_begun;
            let limit = if is_keep_alive {
                self.keep_alive
            } else {
                self.head
            };
            self.wait = Some(wait);
            self.deadline = Instant::now() + limit;
        }
        let deadline = self.deadline;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            // A timer that fires earlier is not reset: a busy connection would do so at each request.
            if sleep.deadline() > deadline || sleep.is_elapsed() {
                sleep.as_mut().reset(deadline);
            }
            std::task::ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
        }
    }
}

/// The deadlines for writing. They apply only while bytes are pending.
#[derive(Default)]
pub(super) struct WriteDeadline {
    /// The number of bytes written so far.
    pub(super) bytes: u64,
    pending: Option<Pending>,
    last_write: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// Consecutive writes that wait for the client.
struct Pending {
    progress: Instant,
    window: Instant,
    bytes_in_window: usize,
}

impl WriteDeadline {
    pub(super) fn progress(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        let Some(pending) = &mut self.pending else {
            return;
        };
        let now = Instant::now();
        pending.progress = now;
        pending.bytes_in_window += bytes;
        self.last_write = Some(now);
    }

    /// Ready when the client receives too little.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let ended = |at: Instant| now.duration_since(at) > CONTINUES_WITHIN;
        if self.last_write.take().is_some_and(ended) {
            self.pending = None;
        }
        let pending = self.pending.get_or_insert(Pending {
            progress: now,
            window: now,
            bytes_in_window: 0,
        });
        if now >= pending.window + RATE_WINDOW {
            if pending.bytes_in_window < MIN_BYTES {
                return Poll::Ready(());
            }
            pending.window = now;
            pending.bytes_in_window = 0;
        }
        if now >= pending.progress + STALL_TIMEOUT {
            return Poll::Ready(());
        }
        let deadline = (pending.progress + STALL_TIMEOUT).min(pending.window + RATE_WINDOW);
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        sleep.as_mut().reset(deadline);
        // If the deadline has passed meanwhile, poll again immediately.
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
