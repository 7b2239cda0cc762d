//! Reads one value of the configuration from its text, or says what it must be.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::Secret;

pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

pub(super) fn parse<T: std::str::FromStr>(name: &str, text: &str, what: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("`{name}` must be {what}, not `{text}`"))
}

/// A directory. Errors: it is empty, or begins with a `~` that no shell has expanded.
pub fn directory(name: &str, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err(format!("`{name}` is empty; it must be a directory"));
    }
    if text == "~" || text.starts_with("~/") {
        return Err(format!(
            "`{name}` is `{text}`, and only a shell expands `~`; write the whole path"
        ));
    }
    Ok(PathBuf::from(text))
}

/// An address and port. Of the usual mistakes, the error names what was meant.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let host = match host {
            "" | "localhost" => "127.0.0.1",
            "*" => "0.0.0.0",
            host => host,
        };
        let port = if port.parse::<u16>().is_ok() {
            port
        } else {
            "8080"
        };
        let meant = [
            format!("{text}:8080"),
            format!("[{text}]:8080"),
            format!("{host}:{port}"),
        ];
        let meant = meant
            .iter()
            .find(|meant| meant.parse::<SocketAddr>().is_ok());
        let example = meant.map_or("127.0.0.1:8080", String::as_str);
        format!("`listen` must be an IP address and a port, e.g. `{example}`, not `{text}`")
    })
}

pub(super) fn choice(name: &str, text: &str, yes: &str, no: &str) -> Result<bool, String> {
    match text {
        text if text == yes => Ok(true),
        text if text == no => Ok(false),
        _ => Err(format!("`{name}` must be `{yes}` or `{no}`, not `{text}`")),
    }
}

pub(super) fn secrets(name: &str, text: &str, min: usize) -> Result<Vec<Secret>, String> {
    list(text)
        .map(|secret| {
            check_length(name, secret, min)?;
            Ok(Secret(secret.to_owned()))
        })
        .collect()
}

/// Errors: the secret has fewer bytes than `min`.
pub fn check_length(name: &str, secret: &str, min: usize) -> Result<(), String> {
    if secret.len() >= min {
        return Ok(());
    }
    Err(format!(
        "each secret of `{name}` must be at least {min} bytes long; `openssl rand -hex 32` makes one, and \
         `docs/upgrading.md` says how to replace one that is in use"
    ))
}

/// What other URLs begin with; no slash at the end is kept, and nobody signs in by it.
pub(super) fn base_url(name: &str, example: &str, text: &str) -> Result<String, String> {
    let is_url = text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some()
            && uri.query().is_none()
            && !text.contains(['@', '#'])
    });
    if is_url {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(format!("`{name}` must be as `{example}`, not `{text}`"))
    }
}

pub(super) fn origin(text: &str) -> Result<String, String> {
    origin_of(text)
        .filter(|_| text.matches('/').count() == 2)
        .ok_or_else(|| format!("`cors_origins` must be as `https://shop.example`, not `{text}`"))
}

/// Scheme, host and port of a URL as browsers write an origin (RFC 6454): in small letters, and
/// without the port that the scheme means anyway. The URL must have no path of its own.
pub fn origin_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let scheme = uri
        .scheme_str()
        .filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let usual = if scheme == "https" { 443 } else { 80 };
    let host = uri.host()?;
    let origin = match uri.port_u16().filter(|port| *port != usual) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    };
    Some(origin.to_lowercase())
}

/// The path of a URL without a slash at the end; empty where it has none.
pub fn path_of(url: &str) -> String {
    let uri = url.parse::<http::Uri>();
    uri.map(|uri| uri.path().trim_end_matches('/').to_owned())
        .unwrap_or_default()
}

pub(super) fn network(text: &str) -> Result<ipnet::IpNet, String> {
    text.parse::<ipnet::IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from))
        .map_err(|_| format!("`trusted_proxies` must be networks as `10.0.0.0/8`, not `{text}`"))
}

/// `90s`, `15m`, `2h`, `30d`.
pub fn duration(name: &str, text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    units
        .iter()
        .find_map(|(unit, seconds)| {
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Duration::from_secs(number.checked_mul(*seconds)?))
        })
        .filter(|span| !span.is_zero() && *span <= Duration::from_hours(87840))
        .ok_or_else(|| format!("`{name}` must read as `90s`, `15m`, `2h` or `30d`, not `{text}`"))
}

/// `512KiB`, `64MiB`, `1GiB`: bytes, at least 1 MiB.
pub(super) fn size(name: &str, text: &str) -> Result<usize, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    units
        .iter()
        .find_map(|(unit, shift)| {
            let number: usize = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(1 << shift)
        })
        .filter(|size| *size >= 1 << 20)
        .ok_or_else(|| format!("`{name}` must be at least `1MiB`, e.g. `64MiB`, not `{text}`"))
}
