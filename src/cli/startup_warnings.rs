//! Warnings of a starting server about settings that are valid but almost certainly wrong.

use std::net::IpAddr;

use crate::{app::App, infra::config::Config};

pub(super) fn log_warnings(app: &App, is_demo: bool) {
    warn_if_unprotected(&app.config, is_demo);
    warn_if_links_unreachable(app);
    warn_if_proxy_untrusted(&app.config);
}

/// Warns if other machines can reach a server that has no rate limits.
fn warn_if_unprotected(config: &Config, is_demo: bool) {
    if !is_public(config) {
        return;
    }
    let address = config.listen;
    if is_demo {
        tracing::warn!(
            "WARNING: a demo without rate limits listens on {address}, which other machines can reach"
        );
    } else if !config.rate_limit {
        tracing::warn!(
            "WARNING: rate limits are off, and other machines can reach {address}; set SHOP_RATE_LIMIT=on"
        );
    }
}

/// Warns if links contain the unspecified address, `0.0.0.0` or `::`.
fn warn_if_links_unreachable(app: &App) {
    let public_url = &app.settings().public_url;
    if !ip_of(public_url).is_some_and(|ip| ip.is_unspecified()) {
        return;
    }
    let links = if app.config.smtp_url.is_some() {
        "links in emails and image URLs"
    } else {
        "links and image URLs"
    };
    tracing::warn!(
        "{links} start with {public_url}, which other machines cannot open; set SHOP_PUBLIC_URL to the URL \
         that customers use, e.g. https://shop.example"
    );
}

/// Warns if all requests come from a proxy on this machine that is not trusted.
fn warn_if_proxy_untrusted(config: &Config) {
    let is_remote = |url: &String| match ip_of(url) {
        Some(ip) => !ip.is_loopback(),
        None => !url.contains("://localhost"),
    };
    if config.rate_limit
        && !is_public(config)
        && config.trusted_proxies.is_empty()
        && config.public_url.as_ref().is_some_and(is_remote)
    {
        let (address, proxy) = (config.listen, config.listen.ip());
        tracing::warn!(
            "only a proxy on this machine can reach {address}, and it is not trusted: all customers count as \
             one client; set SHOP_TRUSTED_PROXIES={proxy}"
        );
    }
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
