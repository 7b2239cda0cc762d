//! What a server warns about when it starts: settings that are valid and certainly do not do what was meant.

use std::net::IpAddr;

use crate::{app::App, infra::config::Config};

/// Warns about everything that is certainly wrong.
pub(super) fn warn(app: &App, is_demo: bool) {
    warn_of_open_doors(&app.config, is_demo);
    warn_of_useless_links(app);
    warn_of_unknown_proxy(&app.config);
}

/// Other machines can reach a server without limits.
fn warn_of_open_doors(config: &Config, is_demo: bool) {
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

/// Links lead to `0.0.0.0` or `::`, which is no machine's address.
fn warn_of_useless_links(app: &App) {
    let public_url = &app.public_url;
    if !address_of(public_url).is_some_and(|address| address.is_unspecified()) {
        return;
    }
    let what = if app.config.smtp_url.is_some() {
        "links in mails, and image URLs,"
    } else {
        "links and image URLs"
    };
    tracing::warn!(
        "{what} begin with {public_url}, which leads nowhere from other machines; set SHOP_PUBLIC_URL to the \
         address that customers open, e.g. https://shop.example"
    );
}

/// All requests come from a proxy on this machine, and its word is not trusted.
fn warn_of_unknown_proxy(config: &Config) {
    let is_elsewhere = |url: &String| {
        let is_named = !url.contains("://localhost");
        address_of(url).map_or(is_named, |address| !address.is_loopback())
    };
    if config.rate_limit
        && !is_public(config)
        && config.trusted_proxies.is_empty()
        && config.public_url.as_ref().is_some_and(is_elsewhere)
    {
        let (address, proxy) = (config.listen, config.listen.ip());
        tracing::warn!(
            "only a proxy on this machine can pass on customers' requests to {address}, and it is not trusted: \
             all customers count as one client; set SHOP_TRUSTED_PROXIES={proxy}"
        );
    }
}

/// Whether other machines can reach the server, as far as its address shows.
pub(super) fn is_public(config: &Config) -> bool {
    !config.listen.ip().to_canonical().is_loopback()
}

/// The IP address that a URL leads to. `None`: it has a name.
fn address_of(url: &str) -> Option<IpAddr> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok()
}
