//! The I/O of one connection, between the socket and hyper: enforces read and write deadlines, counts the memory
//! of request heads, and closes evicted connections.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    connections::{Activity, Phase, Slot},
    deadlines::{ReadDeadline, Wait, WriteDeadline},
    fragments::Fragments,
    framing::HeadScan,
    linger::Lingering,
    tls::Stream,
};
use crate::infra::web::body::BodyMeter;

/// Heads up to this size, in bytes, do not count towards the memory budget.
pub(super) const MAX_UNCOUNTED_HEAD: usize = 8 * 1024;

pub(super) struct Transport {
    /// `None` once the connection lingers.
    socket: Option<(Stream, Slot)>,
    activity: Arc<Activity>,
    /// `None` for HTTP/2, whose heads are compressed. There `streams.rs` decides what the connection waits for.
    meter: Option<HeadMeter>,
    fragments: Fragments,
    reads: ReadDeadline,
    writes: WriteDeadline,
    /// Whether the client has closed or the connection failed, so that no response can arrive.
    is_over: bool,
    /// Whether the server has sent bytes since it last read any.
    has_answered: bool,
    lingering: Lingering,
}

impl Transport {
    /// `heads` creates the meter that counts a large request head; `None` for HTTP/2.
    pub(super) fn new(
        stream: Stream,
        slot: Slot,
        heads: Option<Box<dyn Fn() -> BodyMeter + Send + Sync>>,
        reads: ReadDeadline,
        lingering: Lingering,
    ) -> Transport {
        Transport {
            activity: Arc::clone(slot.activity()),
            socket: Some((stream, slot)),
            meter: heads.map(|heads| HeadMeter {
                scan: HeadScan::default(),
                requests: 0,
                heads,
                metered: None,
            }),
            fragments: Fragments::default(),
            reads,
            writes: WriteDeadline::default(),
            is_over: false,
            has_answered: false,
            lingering,
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Stream>> {
        let socket = self.socket.as_mut();
        socket
            .map(|(stream, _)| Pin::new(stream))
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn check_evicted(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.activity.poll_evicted(cx.waker()) {
            return Err(io::Error::other(
                "evicted to free a slot for another connection",
            ));
        }
        Ok(())
    }

    /// Scans the bytes that were read. Errors: the client sent nothing for too long, or was evicted.
    fn watch_read(
        &mut self,
        cx: &mut Context<'_>,
        read: Poll<io::Result<()>>,
        bytes: &[u8],
        has_room: bool,
    ) -> Poll<io::Result<()>> {
        match &read {
            Poll::Ready(Ok(())) => {
                self.has_answered = false;
                self.is_over |= bytes.is_empty() && has_room;
                if let Some(meter) = &mut self.meter {
                    meter.feed(&self.activity, bytes)?;
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.check_evicted(cx)?;
                if self.activity.phase() == Phase::Head && !self.activity.has_unread_body() {
                    let wait = Wait {
                        requests: self.activity.requests(),
                        has_begun: self.has_begun_head(),
                        // An HTTP/2 client could cause endless writes by pings.
                        written: self.meter.as_ref().map_or(0, |_| self.writes.bytes),
                    };
                    std::task::ready!(self.reads.poll_expired(cx, wait));
                    let error = io::Error::new(io::ErrorKind::TimedOut, "the client sent nothing");
                    return Poll::Ready(Err(error));
                }
            }
        }
        read
    }

    /// Errors: a write made too little progress, or the connection was evicted.
    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = match written {
            Poll::Ready(Ok(bytes)) => {
                self.has_answered = true;
                self.activity.end_waiting();
                self.writes.progress(bytes);
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                self.activity.begin_waiting();
                self.check_evicted(cx)?;
                std::task::ready!(self.writes.poll_expired(cx));
                let error = io::Error::new(io::ErrorKind::TimedOut, "the client reads too slowly");
                Poll::Ready(Err(error))
            }
        };
        self.is_over |= matches!(written, Poll::Ready(Err(_)));
        written
    }

    fn has_begun_head(&self) -> bool {
        let meter = self.meter.as_ref();
        meter.is_some_and(|meter| meter.has_begun(&self.activity))
    }

    /// Watches bytes that TLS has buffered. Errors: they made no progress, or the connection was evicted.
    fn watch_flush(
        &mut self,
        cx: &mut Context<'_>,
        flushed: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match flushed {
            Poll::Pending => self
                .watch_write(cx, Poll::Pending)
                .map(|error| error.map(drop)),
            flushed @ Poll::Ready(_) => flushed,
        }
    }

    /// Returns whether the client may still be sending, so that it could lose the response.
    fn must_linger(&self) -> bool {
        let is_mid_message = match self.activity.phase() {
            Phase::Upgraded => true,
            _ if self.activity.has_unread_body() => true,
            // A head that hyper rejected with a response. After a timeout there is none.
            Phase::Head => self.has_begun_head() && self.has_answered,
            Phase::Request => false,
        };
        is_mid_message && !self.is_over
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        if self.must_linger()
            && let Some((stream, slot)) = self.socket.take()
        {
            self.lingering.close(stream, slot);
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, has_room) = (buffer.filled().len(), buffer.remaining() > 0);
        let read = self.stream()?.poll_read(cx, buffer);
        let read = self.watch_read(cx, read, &buffer.filled()[before..], has_room);
        self.is_over |= matches!(read, Poll::Ready(Err(_)));
        if self.activity.phase() == Phase::Upgraded {
            // The connection is not over, so that the close frame arrives.
            self.fragments.feed(&buffer.filled()[before..])?;
        }
        read
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(cx, bytes);
        self.watch_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write_vectored(cx, slices);
        self.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream()?.poll_flush(cx);
        if flushed.is_ready() {
            self.activity.flushed();
        }
        self.watch_flush(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = self.stream()?.poll_shutdown(cx);
        self.watch_flush(cx, closed)
    }
}

/// Scans request heads, and counts the memory of large ones.
struct HeadMeter {
    scan: HeadScan,
    /// The number of requests before the head that is being scanned.
    requests: u64,
    heads: Box<dyn Fn() -> BodyMeter + Send + Sync>,
    /// The meter of the current head, and the number of bytes counted.
    metered: Option<(BodyMeter, usize)>,
}

impl HeadMeter {
    /// Returns whether bytes of the next request's head have arrived.
    fn has_begun(&self, activity: &Activity) -> bool {
        self.requests == activity.requests() && self.scan.size() > 0
    }

    /// Errors: the memory budget is exhausted.
    fn feed(&mut self, activity: &Activity, bytes: &[u8]) -> io::Result<()> {
        // The rest of a body is not a head. hyper closes such a connection.
        if activity.phase() != Phase::Head || activity.has_unread_body() {
            return Ok(());
        }
        if self.requests != activity.requests() {
            self.requests = activity.requests();
            self.scan = HeadScan::default();
            self.metered = None;
        }
        self.scan.feed(bytes);
        if self.scan.is_ambiguous() {
            activity.set_ambiguous_length();
        }
        let size = self.scan.size();
        if size > MAX_UNCOUNTED_HEAD {
            let (meter, counted) = self.metered.get_or_insert_with(|| ((self.heads)(), 0));
            meter
                .add(size - *counted)
                .map_err(|error| io::Error::other(error.to_string()))?;
            *counted = size;
        }
        Ok(())
    }
}
