//! Warnings of a starting server about settings that are valid but almost certainly wrong.

use std::net::IpAddr;

use crate::infra::config::Config;

/// Returns the warnings. `public_url` is the base of links.
pub(super) fn warnings(config: &Config, public_url: &str, is_demo: bool) -> Vec<String> {
    let all = [
        unprotected(config, is_demo),
        unreachable_links(config, public_url),
        untrusted_proxy(config),
    ];
    all.into_iter().flatten().collect()
}

/// Returns a warning if other machines can reach a server that has no rate limits.
fn unprotected(config: &Config, is_demo: bool) -> Option<String> {
    if !is_public(config) {
        return None;
    }
    let address = config.listen;
    if is_demo {
        return Some(format!(
            "WARNING: a demo without rate limits listens on {address}, which other machines can reach"
        ));
    }
    (!config.rate_limit).then(|| {
        format!(
            "WARNING: rate limits are off, and other machines can reach {address}; set SHOP_RATE_LIMIT=on"
        )
    })
}

/// Returns a warning if links contain the unspecified address, `0.0.0.0` or `::`.
fn unreachable_links(config: &Config, public_url: &str) -> Option<String> {
    if !ip_of(public_url).is_some_and(|ip| ip.is_unspecified()) {
        return None;
    }
    let links = if config.smtp_url.is_some() {
        "links in emails and image URLs"
    } else {
        "links and image URLs"
    };
    Some(format!(
        "{links} start with {public_url}, which other machines cannot open; set SHOP_PUBLIC_URL to the URL \
         that customers use, e.g. https://shop.example"
    ))
}

/// Returns a warning if all requests come from a proxy on this machine that is not trusted.
fn untrusted_proxy(config: &Config) -> Option<String> {
    let is_remote = |url: &String| match ip_of(url) {
        Some(ip) => !ip.is_loopback(),
        None => !url.contains("://localhost"),
    };
    let is_untrusted = config.rate_limit
        && !is_public(config)
        && config.trusted_proxies.is_empty()
        && config.public_url.as_ref().is_some_and(is_remote);
    is_untrusted.then(|| {
        let (address, proxy) = (config.listen, config.listen.ip());
        format!(
            "only a proxy on this machine can reach {address}, and it is not trusted: all customers count as \
             one client; set SHOP_TRUSTED_PROXIES={proxy}"
        )
    })
}

/// Whether the server listens on an address that other machines may reach.
pub(super) fn is_public(config: &Config) -> bool {
    !config.listen.ip().to_canonical().is_loopback()
}

/// Returns the IP address in a URL, or `None` if its host is a name.
fn ip_of(url: &str) -> Option<IpAddr> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok()
}
