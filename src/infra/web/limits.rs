//! Rate limits: how many requests a minute one client network may send.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    middleware::{StateInformationMiddleware, StateSnapshot},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::client::{Network, SITE_FACTOR, Site};
use crate::core::error::{Error, Kind, Result};

/// The window that every limit is told in.
const WINDOW: Duration = Duration::from_mins(1);

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const ACTIVE_SESSION: HeaderName = HeaderName::from_static("ratelimit");

/// A class of routes.
#[derive(Debug)]
pub struct Class {
    /// As the `RateLimit` headers name it.
    pub name: &'static str,
    /// What belongs to it, as `shop config` tells.
    pub what: &'static str,
    /// Requests a minute for one client network.
    pub quota: u32,
}

pub const CLASSES: &[Class] = &[
    class("login", "signing in", 30),
    class("accounts", "registering, links, passwords, codes", 30),
    class("sessions", "refreshing and signing out", 300),
    class("writes", "other writes", 600),
    class(
        "searches",
        "products by words, price, stock or far pages",
        300,
    ),
    class("reads", "other reads", 6000),
];

const fn class(name: &'static str, what: &'static str, quota: u32) -> Class {
    Class { name, what, quota }
}

/// Which class a request belongs to; none is free of limits.
fn class_of(method: &Method, uri: &Uri) -> Option<usize> {
    let is_read = *method == Method::GET || *method == Method::HEAD;
    let path = uri.path();
    let name = match path.strip_prefix("/api/v1/") {
        None if path.starts_with("/images/") => "reads",
        None | Some("payments/razorpay/webhook") => return None,
        Some("auth/login") => "login",
        Some("auth/refresh" | "auth/logout") => "sessions",
        Some("me/password" | "me/phone" | "me/phone/verify") => "accounts",
        Some(path) if path.starts_with("auth/") => "accounts",
        Some("products") if is_read && is_search(uri) => "searches",
        Some(_) if is_read => "reads",
        Some(_) => "writes",
    };
    CLASSES.iter().position(|class| class.name == name)
}

/// Whether a list of products has to be counted or skipped through, row by row.
fn is_search(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).any(|(name, value)| match &*name {
        "q" | "minPrice" | "maxPrice" | "inStock" => true,
        "page" => value.len() > 2,
        _ => false,
    })
}

type Limiter<K> = DefaultKeyedRateLimiter<K, StateInformationMiddleware>;

/// The limits of one class: by client network, and by the `IPv6` /48 around it, which gets eight
/// times as much.
struct ClassLimiters {
    networks: Limiter<Network>,
    sites: Limiter<Site>,
}

/// The limits of this instance, on the monotonic clock.
pub struct Limits {
    classes: Option<Vec<ClassLimiters>>,
}

/// Where a client stands under the limit of one class (IETF draft-ietf-httpapi-ratelimit-headers).
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    class: usize,
    remaining: u32,
    /// Until the whole quota is available again.
    reset: Duration,
}

impl Limits {
    pub fn new(on: bool) -> Limits {
        let limiters = |class: &Class| ClassLimiters {
            networks: limiter(class.quota),
            sites: limiter(class.quota * SITE_FACTOR),
        };
        Limits {
            classes: on.then(|| CLASSES.iter().map(limiters).collect()),
        }
    }

    pub fn are_on(&self) -> bool {
        self.classes.is_some()
    }

    /// The client's network, for what is shared fairly between networks; `None` where no limit counts
    /// them.
    pub fn fair_key(&self, client: IpAddr) -> Option<IpAddr> {
        self.are_on().then(|| Network::of(client).widest())
    }

    /// Counts a request. Returns the client's standing, where a limit applies, and an error where it
    /// is exceeded.
    pub fn check(
        &self,
        method: &Method,
        uri: &Uri,
        client: IpAddr,
    ) -> (Option<Standing>, Result<()>) {
        let (Some(classes), Some(class)) = (&self.classes, class_of(method, uri)) else {
            return (None, Ok(()));
        };
        let ClassLimiters { networks, sites } = &classes[class];
        let quota = CLASSES[class].quota;
        let network = Network::of(client);
        // The smaller network first: what it is refused must not count against its neighbours.
        let counted = try_count(networks, &network).and_then(|own| match network.site() {
            None => Ok(own),
            Some(site) => try_count(sites, &site).map(|site| own.min(site)),
        });
        let (remaining, reset, outcome) = match counted {
            Ok(remaining) => {
                let spent = f64::from(quota - remaining.min(quota));
                (remaining, WINDOW.mul_f64(spent / f64::from(quota)), Ok(()))
            }
            Err(retry_after) => {
                let detail = format!(
                    "more than {quota} requests a minute from one network; retry after the seconds \
                     in `Retry-After`"
                );
                let error = Error::new(Kind::TooManyRequests { retry_after }, detail);
                (0, retry_after, Err(error))
            }
        };
        let standing = Standing {
            class,
            remaining,
            reset,
        };
        (Some(standing), outcome)
    }

    /// Removes the networks that have their whole quota again.
    pub fn forget_idle(&self) {
        for ClassLimiters { networks, sites } in self.classes.iter().flatten() {
            networks.retain_recent();
            networks.shrink_to_fit();
            sites.retain_recent();
            sites.shrink_to_fit();
        }
    }
}

fn limiter<K: Hash + Eq + Clone>(per_minute: u32) -> Limiter<K> {
    let quota = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
    DefaultKeyedRateLimiter::keyed(Quota::per_minute(quota)).with_middleware()
}

/// Returns how many requests remain, or how long to wait.
fn try_count<K: Hash + Eq + Clone>(limiter: &Limiter<K>, key: &K) -> Result<u32, Duration> {
    limiter
        .check_key(key)
        .map(|state: StateSnapshot| state.remaining_burst_capacity())
        .map_err(|until| until.wait_time_from(governor::clock::Clock::now(limiter.clock())))
}

impl Standing {
    /// The same with nothing left for `reset`.
    #[must_use]
    pub fn exhausted(self, reset: Duration) -> Standing {
        Standing {
            remaining: 0,
            reset,
            ..self
        }
    }

    pub fn write(self, headers: &mut HeaderMap) {
        let Class { name, quota, .. } = CLASSES[self.class];
        let reset = self.reset.as_millis().div_ceil(1000);
        let texts = [
            (
                POLICY,
                format!("\"{name}\";q={quota};w={}", WINDOW.as_secs()),
            ),
            (
                ACTIVE_SESSION,
                format!("\"{name}\";r={};t={reset}", self.remaining),
            ),
        ];
        for (header, text) in texts {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(header, value);
            }
        }
    }
}
