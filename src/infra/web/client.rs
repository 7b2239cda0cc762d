//! The address of the client that sent a request, and the network by which limits count it.

use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, request::Parts};
use tower_http::request_id::RequestId;

use crate::{
    core::{
        audit::Origin,
        error::{Error, Result},
    },
    infra::config::Config,
};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The smallest network that an internet provider assigns to one customer: an `IPv4` address or an `IPv6`
/// /64. Limits count by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// An `IPv6` /48, the largest network that a provider assigns to one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Site([u16; 3]);

/// A whole [`Site`] may use this many times the limit of one network.
pub const SITE_FACTOR: u32 = 8;

impl Network {
    pub fn of(address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(address) => Network(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Network(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }

    /// Returns the /48 that contains an `IPv6` network, or `None` for `IPv4`.
    pub fn site(self) -> Option<Site> {
        match self.0 {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                Some(Site([a, b, c]))
            }
        }
    }

    /// Returns the network that counts as one client for fair scheduling: the `IPv4` address, or the /48 that
    /// contains an `IPv6` network.
    pub fn widest(self) -> IpAddr {
        match self.site() {
            None => self.0,
            Some(Site([a, b, c])) => IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)),
        }
    }

    /// Returns the first address of the network.
    pub fn address(self) -> IpAddr {
        self.0
    }
}

impl From<ClientAddress> for Network {
    fn from(ClientAddress(address): ClientAddress) -> Network {
        Network::of(address)
    }
}

/// Writes the first address of the network.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns whether this peer is one of the operator's trusted proxies.
pub fn is_trusted_proxy(config: &Config, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    config.trusted_proxies.iter().any(|net| net.contains(&peer))
}

/// Returns the address of the client.
///
/// That is the peer's address unless the peer is a trusted proxy. Behind a trusted proxy it is the address in
/// the configured header, or else the rightmost hop of `X-Forwarded-For` that is not a trusted proxy. A hop
/// that is not an address did not come from a trusted proxy, so the search stops there.
pub fn client_address(headers: &HeaderMap, peer: IpAddr, config: &Config) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted_proxy(config, client) {
        return client;
    }
    if let Some(name) = &config.client_ip_header {
        let mut values = headers.get_all(name).iter();
        return match (values.next(), values.next()) {
            (Some(value), None) => parse_hop(value.as_bytes()).unwrap_or(client),
            _ => client,
        };
    }
    let values: Vec<_> = headers.get_all(FORWARDED).iter().collect();
    let hops = values
        .iter()
        .rev()
        .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops {
        let Some(address) = parse_hop(hop) else { break };
        client = address;
        if !is_trusted_proxy(config, client) {
            break;
        }
    }
    client
}

/// Parses `ip`, `ip:port`, `[v6]` or `[v6]:port`.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop.trim_ascii()).ok()?;
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = hop
        .parse::<IpAddr>()
        .ok()
        .or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))
        .or_else(|| Some(IpAddr::V6(bracketed()?)))?;
    Some(address.to_canonical())
}

/// Returns the id of a request and the address of its client.
pub fn origin(parts: &Parts) -> Origin {
    let id = parts.extensions.get::<RequestId>();
    let id = id.and_then(|id| id.header_value().to_str().ok());
    let address = parts.extensions.get::<ClientAddress>();
    Origin {
        request_id: id.map(str::to_owned),
        address: address.map(|address| address.0),
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        Ok(origin(parts))
    }
}

/// The address of the client that sent a request.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts
            .extensions
            .get::<ClientAddress>()
            .copied()
            .ok_or_else(|| Error::internal("the request has no client address"))
    }
}
