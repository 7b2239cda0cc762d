//! The requests in progress of one HTTP/2 connection, each on a stream of its own. Together they decide whether the
//! connection is idle or waits for its client.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::{
    connections::{Activity, Phase},
    linger::Lingering,
    middleware::ResponseReservations,
};

/// The size of the pieces in which a response is sent, in bytes.
const PIECE: usize = 16 * 1024;

/// How long the client may take for one piece of a response, whatever else it reads meanwhile.
const PIECE_TIMEOUT: Duration = Duration::from_mins(1);

/// The open streams of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    activity: Arc<Activity>,
    lingering: Lingering,
    open: Mutex<OpenStreams>,
}

#[derive(Debug, Default)]
struct OpenStreams {
    next_id: u64,
    by_id: HashMap<u64, State>,
}

/// What a stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The server works on the request.
    Working,
    /// The next bytes of the request's body have not arrived.
    Receiving,
    /// The client has not read the last piece of the response since then, or not made room for the first.
    Sending(Instant),
}

impl Streams {
    pub(super) fn new(activity: Arc<Activity>, lingering: Lingering) -> Arc<Streams> {
        Arc::new(Streams {
            activity,
            lingering,
            open: Mutex::default(),
        })
    }

    /// Opens a stream. It ends when the last clone is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Arc<Stream> {
        let mut open = self.lock();
        let id = open.next_id;
        open.next_id += 1;
        open.by_id.insert(id, State::Working);
        self.activity.enter(Phase::Request);
        Arc::new(Stream {
            id,
            streams: Arc::clone(self),
        })
    }

    /// Returns whether the client has left a piece of a response unread for too long. The client could keep it in
    /// memory at no cost, since each stream has a window of its own.
    pub(super) fn has_stalled(&self) -> bool {
        self.lock().by_id.values().any(|state| match state {
            State::Sending(since) => since.elapsed() >= PIECE_TIMEOUT,
            State::Working | State::Receiving => false,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenStreams> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection waits for its client when all its streams do.
    fn update(&self, open: &OpenStreams) {
        if open.by_id.is_empty() {
            self.activity.enter(Phase::Head);
            // The connection computes a new deadline.
            self.activity.wake();
        } else if open.by_id.values().any(|state| *state == State::Working) {
            self.activity.end_waiting();
        } else {
            self.activity.begin_waiting();
        }
    }
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    id: u64,
    streams: Arc<Streams>,
}

impl Stream {
    fn enter(&self, state: State) {
        let mut open = self.streams.lock();
        open.by_id.insert(self.id, state);
        self.streams.update(&open);
    }

    /// Returns the body of the request.
    pub(super) fn request_body(self: &Arc<Self>, body: Incoming) -> RequestBody {
        RequestBody {
            has_ended: body.is_end_stream(),
            body: Some(body),
            stream: Arc::clone(self),
            is_waiting: false,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        open.by_id.remove(&self.id);
        self.streams.update(&open);
    }
}

/// A request body. Its stream waits for the client while no frame is available. What the handler does not read is
/// discarded.
pub(super) struct RequestBody {
    /// `None` while it is being dropped.
    body: Option<Incoming>,
    has_ended: bool,
    stream: Arc<Stream>,
    is_waiting: bool,
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(&mut *body).poll_frame(cx);
        if let Poll::Ready(next) = &frame {
            this.has_ended = !matches!(next, Some(Ok(_))) || body.is_end_stream();
        }
        if this.is_waiting != frame.is_pending() {
            this.is_waiting = frame.is_pending();
            let state = if this.is_waiting {
                State::Receiving
            } else {
                State::Working
            };
            this.stream.enter(state);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.is_waiting {
            self.stream.enter(State::Working);
        }
        if !self.has_ended
            && let Some(body) = self.body.take()
        {
            let streams = &self.stream.streams;
            let rest = streams.open();
            rest.enter(State::Receiving);
            streams.lingering.discard_body(body, rest);
        }
    }
}

/// Returns the body of a response. The stream and the reservations last until the client has received it: hyper
/// takes the next piece when the window has room, and drops a piece when it is sent.
pub(super) fn response_body(
    body: Body,
    stream: Arc<Stream>,
    reservations: Option<ResponseReservations>,
) -> ResponseBody {
    // A client that has closed its window delays even the first piece.
    stream.enter(State::Sending(Instant::now()));
    ResponseBody {
        body,
        rest: Bytes::new(),
        held: Arc::new(Held {
            stream,
            _reservations: reservations,
        }),
    }
}

pub(super) struct ResponseBody {
    body: Body,
    /// What is left of the last frame.
    rest: Bytes,
    held: Arc<Held>,
}

/// What lasts as long as a response is not sent.
struct Held {
    stream: Arc<Stream>,
    _reservations: Option<ResponseReservations>,
}

/// A part of a response that holds its stream and reservations.
struct Piece {
    bytes: Bytes,
    _held: Arc<Held>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            self.held.stream.enter(State::Working);
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let size = self.rest.len().min(PIECE);
        let piece = Piece {
            bytes: self.rest.split_to(size),
            _held: Arc::clone(&self.held),
        };
        self.held.stream.enter(State::Sending(Instant::now()));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let hint = self.body.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}
