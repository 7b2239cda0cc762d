//! The rate limit of new carts of guests.

use crate::infra::web::rate_limits::RouteClass;

pub const GUEST_CARTS: RouteClass = RouteClass {
    name: "guest-carts",
    what: "creating carts of guests",
    quota: 20,
    covers: |target| !target.is_read() && target.api_path() == Some("carts"),
};
