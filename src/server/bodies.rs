//! Request and response bodies that report the connection's [`Activity`].

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::{
    connections::{Activity, Phase},
    linger,
};

/// A request body. The connection waits for its client while no frame is available. If the handler does not
/// read the whole body, the rest goes to [`Unread`].
pub(super) struct RequestBody {
    /// `None` while it is being dropped.
    body: Option<Incoming>,
    is_begun: bool,
    has_ended: bool,
    activity: Arc<Activity>,
    unread: Arc<Unread>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, activity: Arc<Activity>, unread: Arc<Unread>) -> RequestBody {
        RequestBody {
            is_begun: false,
            has_ended: body.is_end_stream(),
            body: Some(body),
            activity,
            unread,
        }
    }
}

/// The rest of a request body that the handler did not read.
#[derive(Debug, Default)]
pub(super) struct Unread(Mutex<Option<Rest>>);

#[derive(Debug)]
struct Rest {
    body: Incoming,
    is_begun: bool,
}

impl Unread {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Rest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Discards the rest if it is small. Returns whether the connection can serve another request. With
    /// `expects` (`Expect: 100-continue`), the client may omit a body that the server did not begin to read.
    pub(super) async fn drain(&self, activity: &Activity, expects: bool) -> bool {
        let Some(rest) = self.lock().take() else {
            return true;
        };
        if (expects && !rest.is_begun) || !linger::drain(rest.body).await {
            return false;
        }
        activity.clear_unread_body();
        true
    }
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
        this.is_begun = true;
        let frame = Pin::new(&mut *body).poll_frame(cx);
        match &frame {
            Poll::Pending => this.activity.begin_waiting(),
            Poll::Ready(next) => {
                this.has_ended = next.is_none() || body.is_end_stream();
                this.activity.end_waiting();
            }
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
        if !self.has_ended
            && let Some(body) = self.body.take()
        {
            self.activity.set_unread_body();
            *self.unread.lock() = Some(Rest {
                body,
                is_begun: self.is_begun,
            });
        }
        self.activity.end_waiting();
    }
}

/// Makes the connection ready for the next request's head when hyper drops the body of the response.
pub(super) fn response_body(
    body: Body,
    activity: Arc<Activity>,
) -> impl HttpBody<Data = Bytes, Error = axum::Error> {
    let end = EndOfResponse(activity);
    // The closure owns `end`, so it is dropped with the body.
    body.map_err(move |error| {
        let EndOfResponse(_) = &end;
        error
    })
}

struct EndOfResponse(Arc<Activity>);

impl Drop for EndOfResponse {
    fn drop(&mut self) {
        let EndOfResponse(activity) = self;
        if activity.phase() == Phase::Request {
            activity.enter(Phase::Head);
        }
    }
}
