//! How much one client address may ask for, and who that address is.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::extract::FromRequestParts;
use governor::{DefaultKeyedRateLimiter, Quota, middleware::StateInformationMiddleware};
use http::{HeaderMap, HeaderName, HeaderValue, Method, request::Parts};
use ipnet::IpNet;

use crate::error::{Error, Kind, Result};

/// The window that every limit is told in.
const WINDOW: Duration = Duration::from_mins(1);

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// A class of routes.
#[derive(Debug)]
pub struct Class {
    /// As the `RateLimit` headers name it.
    pub name: &'static str,
    /// What belongs to it, as `shop config` tells.
    pub what: &'static str,
    /// Requests a minute for one client address.
    pub quota: u32,
}

pub const CLASSES: &[Class] = &[
    class("login", "signing in", 30),
    class("accounts", "registering, links, passwords, codes", 30),
    class("sessions", "refreshing and signing out", 300),
    class("writes", "other writes", 600),
    class("reads", "reads", 6000),
];

const fn class(name: &'static str, what: &'static str, quota: u32) -> Class {
    Class { name, what, quota }
}

/// Which class a request belongs to; none is free of limits.
fn class_of(method: &Method, path: &str) -> Option<usize> {
    let is_read = *method == Method::GET || *method == Method::HEAD;
    let name = match path.strip_prefix("/api/v1/") {
        None if path.starts_with("/images/") => "reads",
        None | Some("payments/razorpay/webhook") => return None,
        Some("auth/login") => "login",
        Some("auth/refresh" | "auth/logout") => "sessions",
        Some("me/password" | "me/phone" | "me/phone/verify") => "accounts",
        Some(path) if path.starts_with("auth/") => "accounts",
        Some(_) if is_read => "reads",
        Some(_) => "writes",
    };
    CLASSES.iter().position(|class| class.name == name)
}

type Limiter = DefaultKeyedRateLimiter<IpAddr, StateInformationMiddleware>;

/// The limits of this instance, on the monotonic clock.
pub struct Limits {
    limiters: Option<Vec<Limiter>>,
}

/// Where a client stands under the limit of one class (IETF draft-ietf-httpapi-ratelimit-headers).
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    class: usize,
    remaining: u32,
    /// Until the whole quota is there again.
    reset: Duration,
}

impl Limits {
    pub fn new(on: bool) -> Limits {
        let limiter = |class: &Class| {
            let quota = NonZeroU32::new(class.quota).unwrap_or(NonZeroU32::MIN);
            DefaultKeyedRateLimiter::keyed(Quota::per_minute(quota)).with_middleware()
        };
        Limits {
            limiters: on.then(|| CLASSES.iter().map(limiter).collect()),
        }
    }

    pub fn are_on(&self) -> bool {
        self.limiters.is_some()
    }

    /// Counts a request; too many of them are an error, with the standing beside it.
    pub fn check(
        &self,
        method: &Method,
        path: &str,
        client: IpAddr,
    ) -> (Option<Standing>, Result<()>) {
        let (Some(limiters), Some(class)) = (&self.limiters, class_of(method, path)) else {
            return (None, Ok(()));
        };
        let quota = CLASSES[class].quota;
        match limiters[class].check_key(&network_of(client)) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let reset =
                    WINDOW.mul_f64(f64::from(quota - remaining.min(quota)) / f64::from(quota));
                (
                    Some(Standing {
                        class,
                        remaining,
                        reset,
                    }),
                    Ok(()),
                )
            }
            Err(until) => {
                let wait =
                    until.wait_time_from(governor::clock::Clock::now(limiters[class].clock()));
                let error = Error::new(
                    Kind::TooManyRequests { retry_after: wait },
                    format!("more than {quota} requests a minute from one address; wait a little"),
                );
                (
                    Some(Standing {
                        class,
                        remaining: 0,
                        reset: wait,
                    }),
                    Err(error),
                )
            }
        }
    }

    /// Forgets the addresses that have their whole quota again.
    pub fn forget_idle(&self) {
        for limiter in self.limiters.iter().flatten() {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

impl Standing {
    /// The same with nothing left, for so long.
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
                STANDING,
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

/// One customer of an `IPv6` provider holds a /64: count it as one.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let s = address.segments();
            IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
    }
}

/// The client's address: the peer's, or, behind trusted proxies, the rightmost hop not among them.
pub fn client_address(headers: &HeaderMap, peer: IpAddr, proxies: &[IpNet]) -> IpAddr {
    let trusted = |address: IpAddr| proxies.iter().any(|net| net.contains(&address));
    let peer = peer.to_canonical();
    if proxies.is_empty() || !trusted(peer) {
        return peer;
    }
    let hops: Vec<&str> = headers
        .get_all(FORWARDED)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut client = peer;
    for hop in hops.iter().rev() {
        // What cannot be read was not written by a proxy of ours: stop before it.
        let Ok(address) = hop.parse::<IpAddr>() else {
            break;
        };
        client = address.to_canonical();
        if !trusted(client) {
            break;
        }
    }
    client
}

/// The address that a request came from.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts
            .extensions
            .get::<ClientAddress>()
            .copied()
            .ok_or_else(|| Error::internal("the edge told no client address"))
    }
}

/// How many live connections each address holds.
#[derive(Debug, Clone)]
pub struct Sockets {
    most: Option<usize>,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One live connection; it frees its place when dropped.
#[derive(Debug)]
pub struct Place {
    sockets: Sockets,
    address: IpAddr,
}

impl Sockets {
    pub fn new(most: Option<usize>) -> Sockets {
        Sockets {
            most,
            open: Arc::default(),
        }
    }

    pub fn take(&self, client: IpAddr) -> Result<Place> {
        let address = network_of(client);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let held = open.entry(address).or_default();
        if self.most.is_some_and(|most| *held >= most) {
            return Err(Error::new(
                Kind::TooManyRequests {
                    retry_after: WINDOW,
                },
                "too many live connections from one address; close some",
            ));
        }
        *held += 1;
        Ok(Place {
            sockets: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .sockets
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = open.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                open.remove(&self.address);
            }
        }
    }
}
