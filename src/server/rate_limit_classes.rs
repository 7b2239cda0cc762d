//! The classes of routes for rate limits: those that domains declare, and the rest.

use crate::{
    domain::{accounts, cart, catalog, settlement},
    infra::web::rate_limits::{RequestTarget, RouteClass},
};

/// All classes, in the order in which `shop config` shows them. The first one that covers a request counts it.
pub const ROUTE_CLASSES: &[&RouteClass] = &[
    &accounts::rate_limit_classes::LOGIN,
    &accounts::rate_limit_classes::ACCOUNTS,
    &accounts::rate_limit_classes::SESSIONS,
    &cart::rate_limit_classes::GUEST_CARTS,
    &WRITES,
    &catalog::rate_limit_classes::SEARCHES,
    &READS,
];

const WRITES: RouteClass = RouteClass {
    name: "writes",
    what: "other writes",
    quota: 600,
    covers: |target| is_limited(target) && !target.is_read(),
};

const READS: RouteClass = RouteClass {
    name: "reads",
    what: "other reads",
    quota: 6000,
    covers: |target| {
        (is_limited(target) && target.is_read()) || target.uri.path().starts_with("/images/")
    },
};

/// Returns whether a request is to the API. The webhook is not limited: the provider sends all events from few
/// addresses, and unsigned requests are rejected early.
fn is_limited(target: &RequestTarget<'_>) -> bool {
    target
        .api_path()
        .is_some_and(|path| Some(path) != settlement::WEBHOOK_PATH.strip_prefix('/'))
}
