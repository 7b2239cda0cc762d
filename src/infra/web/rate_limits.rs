//! Rate limits: the number of requests per minute from one client network, by class of routes.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    middleware::{StateInformationMiddleware, StateSnapshot},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::client::{Network, SITE_FACTOR, Site};
use crate::core::error::{Error, Kind, Result};

/// The window of every limit.
const WINDOW: Duration = Duration::from_mins(1);

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATUS: HeaderName = HeaderName::from_static("ratelimit");

/// A class of routes that share one limit.
#[derive(Debug)]
pub struct RouteClass {
    /// Its name in the `RateLimit` headers.
    pub name: &'static str,
    /// The requests that it covers, as `shop config` shows them.
    pub what: &'static str,
    /// The maximum number of requests per minute from one client network.
    pub quota: u32,
    /// Returns whether it covers a request.
    pub covers: fn(&RequestTarget<'_>) -> bool,
}

/// What decides about the class of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestTarget<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
}

impl<'a> RequestTarget<'a> {
    /// Returns whether the method is safe (RFC 9110, section 9.2.1).
    pub fn is_read(self) -> bool {
        *self.method == Method::GET || *self.method == Method::HEAD
    }

    /// Returns the path below `/api/v1/`.
    pub fn api_path(self) -> Option<&'a str> {
        self.uri.path().strip_prefix("/api/v1/")
    }
}

type Limiter<K> = DefaultKeyedRateLimiter<K, StateInformationMiddleware>;

/// The limiters of one class: per client network, and per `IPv6` /48, which may send eight times as much.
struct ClassLimiters {
    class: &'static RouteClass,
    networks: Limiter<Network>,
    sites: Limiter<Site>,
}

/// The limits of this instance. They use the monotonic clock.
pub struct RateLimits {
    classes: Option<Vec<ClassLimiters>>,
}

/// How much of its limit a client has left (IETF draft-ietf-httpapi-ratelimit-headers).
#[derive(Debug, Clone, Copy)]
pub struct QuotaStatus {
    class: &'static RouteClass,
    remaining: u32,
    /// The time until the whole quota is available again.
    reset: Duration,
}

impl RateLimits {
    /// The first class that covers a request counts it. A request that none covers is not limited.
    pub fn new(on: bool, classes: &[&'static RouteClass]) -> RateLimits {
        let limiters = |class: &&'static RouteClass| ClassLimiters {
            class,
            networks: limiter(class.quota),
            sites: limiter(class.quota * SITE_FACTOR),
        };
        RateLimits {
            classes: on.then(|| classes.iter().map(limiters).collect()),
        }
    }

    pub fn is_enabled(&self) -> bool {
        self.classes.is_some()
    }

    /// Returns the client's network, as the key for fair scheduling, or `None` if the limits are off.
    pub fn fairness_key(&self, client: IpAddr) -> Option<IpAddr> {
        self.is_enabled().then(|| Network::of(client).widest())
    }

    /// Counts a request. Returns the client's quota status if a limit applies.
    ///
    /// Errors: `too-many-requests`.
    pub fn check(
        &self,
        method: &Method,
        uri: &Uri,
        client: IpAddr,
    ) -> (Option<QuotaStatus>, Result<()>) {
        let target = RequestTarget { method, uri };
        let mut classes = self.classes.iter().flatten();
        let Some(limiters) = classes.find(|limiters| (limiters.class.covers)(&target)) else {
            return (None, Ok(()));
        };
        let ClassLimiters {
            class,
            networks,
            sites,
        } = limiters;
        let quota = class.quota;
        let network = Network::of(client);
        // Check the smaller network first, so that its rejected requests do not count against its neighbours.
        let counted = try_count(networks, &network).and_then(|own| match network.site() {
            None => Ok(own),
            Some(site) => try_count(sites, &site).map(|site| own.min(site)),
        });
        let (remaining, reset, result) = match counted {
            Ok(remaining) => {
                let spent = f64::from(quota - remaining.min(quota));
                (remaining, WINDOW.mul_f64(spent / f64::from(quota)), Ok(()))
            }
            Err(retry_after) => {
                let detail = format!(
                    "your network has sent more than {quota} requests per minute; retry after the \
                     number of seconds in `Retry-After`"
                );
                let error = Error::new(Kind::TooManyRequests { retry_after }, detail);
                (0, retry_after, Err(error))
            }
        };
        let status = QuotaStatus {
            class,
            remaining,
            reset,
        };
        (Some(status), result)
    }

    /// Removes the networks whose whole quota is available again.
    pub fn remove_idle(&self) {
        for limiters in self.classes.iter().flatten() {
            limiters.networks.retain_recent();
            limiters.networks.shrink_to_fit();
            limiters.sites.retain_recent();
            limiters.sites.shrink_to_fit();
        }
    }
}

fn limiter<K: Hash + Eq + Clone>(per_minute: u32) -> Limiter<K> {
    let quota = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
    DefaultKeyedRateLimiter::keyed(Quota::per_minute(quota)).with_middleware()
}

/// Counts a request. Returns the number of remaining requests, or else the time to wait.
fn try_count<K: Hash + Eq + Clone>(limiter: &Limiter<K>, key: &K) -> Result<u32, Duration> {
    limiter
        .check_key(key)
        .map(|state: StateSnapshot| state.remaining_burst_capacity())
        .map_err(|until| until.wait_time_from(governor::clock::Clock::now(limiter.clock())))
}

impl QuotaStatus {
    /// Returns this status with no requests left until `reset` has passed.
    #[must_use]
    pub fn exhausted(self, reset: Duration) -> QuotaStatus {
        QuotaStatus {
            remaining: 0,
            reset,
            ..self
        }
    }

    /// Writes the `RateLimit` headers.
    pub fn write(self, headers: &mut HeaderMap) {
        let RouteClass { name, quota, .. } = self.class;
        let reset = self.reset.as_millis().div_ceil(1000);
        let texts = [
            (
                POLICY,
                format!("\"{name}\";q={quota};w={}", WINDOW.as_secs()),
            ),
            (STATUS, format!("\"{name}\";r={};t={reset}", self.remaining)),
        ];
        for (header, text) in texts {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(header, value);
            }
        }
    }
}
