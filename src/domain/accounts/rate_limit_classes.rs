//! The rate limits of requests to accounts.

use super::first_admin::FIRST_ADMIN_PATH;
use crate::infra::web::rate_limits::{RequestTarget, RouteClass};

pub const LOGIN: RouteClass = RouteClass {
    name: "login",
    what: "signing in",
    quota: 30,
    covers: |target| target.api_path() == Some("auth/login"),
};

pub const ACCOUNTS: RouteClass = RouteClass {
    name: "accounts",
    what: "registering, email links, passwords, phone codes",
    quota: 30,
    covers: |target| match target.api_path() {
        Some("me/password" | "me/phone" | "me/phone/verify") => true,
        Some(path) => {
            path.starts_with("auth/") && path != "auth/login" && !targets_session_route(target)
        }
        None => target.uri.path() == FIRST_ADMIN_PATH && !target.is_read(),
    },
};

pub const SESSIONS: RouteClass = RouteClass {
    name: "sessions",
    what: "refreshing tokens and signing out",
    quota: 300,
    covers: targets_session_route,
};

fn targets_session_route(target: &RequestTarget<'_>) -> bool {
    matches!(target.api_path(), Some("auth/refresh" | "auth/logout"))
}
