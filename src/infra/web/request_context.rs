//! What is known about the request that the current task handles, for its line in the log and its metrics.
//!
//! A task-local value: handlers need not pass it on, and unlike a span it costs no allocation per request.

use std::cell::Cell;

use axum::extract::MatchedPath;
use http::HeaderValue;

use crate::core::id::UserId;

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// The context of one request. The layers that handle it fill in what they learn.
struct RequestContext {
    id: Option<HeaderValue>,
    route: Cell<Option<MatchedPath>>,
    user: Cell<Option<UserId>>,
}

/// What the layers have recorded.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The route's template. `None` if no route matched.
    pub route: Option<MatchedPath>,
    /// The user of a valid access token, or who has just signed in.
    pub user: Option<UserId>,
}

/// Runs `work`, which handles the request with this id.
pub fn scope<F: Future>(
    id: Option<HeaderValue>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let context = RequestContext {
        id,
        route: Cell::default(),
        user: Cell::default(),
    };
    CURRENT.scope(context, work)
}

/// Records the route's template. Does nothing outside a request, as the next function.
pub fn set_route(route: MatchedPath) {
    let _ = CURRENT.try_with(|context| context.route.set(Some(route)));
}

/// Records the user.
pub fn set_user(user: UserId) {
    let _ = CURRENT.try_with(|context| context.user.set(Some(user)));
}

/// Takes what was recorded.
pub fn take() -> Recorded {
    let recorded = CURRENT.try_with(|context| Recorded {
        route: context.route.take(),
        user: context.user.take(),
    });
    recorded.unwrap_or_default()
}

/// Returns the request's id, or `None` outside a request.
pub fn request_id() -> Option<HeaderValue> {
    CURRENT.try_with(|context| context.id.clone()).ok()?
}
