//! Parses the value of one setting. Errors name the setting and what it must be.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::Secret;

pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

pub(super) fn parse<T: std::str::FromStr>(
    name: &str,
    text: &str,
    expected: &str,
) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("`{name}` must be {expected}, not `{text}`"))
}

/// Parses a directory. Errors: it is empty, or begins with `~`, which only a shell expands.
pub fn directory(name: &str, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err(format!("`{name}` is empty; it must be a directory"));
    }
    if text == "~" || text.starts_with("~/") {
        return Err(format!(
            "`{name}` is `{text}`, and only a shell expands `~`; write the full path"
        ));
    }
    Ok(PathBuf::from(text))
}

/// Parses an IP address and a port. For common mistakes, the error suggests a correction.
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
        let suggestions = [
            format!("{text}:8080"),
            format!("[{text}]:8080"),
            format!("{host}:{port}"),
        ];
        let valid = suggestions
            .iter()
            .find(|suggestion| suggestion.parse::<SocketAddr>().is_ok());
        let example = valid.map_or("127.0.0.1:8080", String::as_str);
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
            Ok(Secret::from(secret))
        })
        .collect()
}

/// Errors: the secret is shorter than `min` bytes.
pub fn check_length(name: &str, secret: &str, min: usize) -> Result<(), String> {
    if secret.len() >= min {
        return Ok(());
    }
    Err(format!(
        "each secret in `{name}` must be at least {min} bytes long; generate one with \
         `openssl rand -hex 32`, and see `docs/upgrading.md` to replace one that is in use"
    ))
}

/// Parses a base URL: `http` or `https`, without credentials, query or fragment. Returns it without a slash at
/// the end.
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
        Err(format!(
            "`{name}` must be a URL, e.g. `{example}`, not `{text}`"
        ))
    }
}

pub(super) fn origin(text: &str) -> Result<String, String> {
    origin_of(text)
        .filter(|_| text.matches('/').count() == 2)
        .ok_or_else(|| {
            format!(
                "`cors_origins` must contain origins, e.g. `https://shop.example`, not `{text}`"
            )
        })
}

/// Returns the origin of a URL as browsers write it (RFC 6454): scheme, host and port, in lower case and without
/// the scheme's default port.
pub fn origin_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let scheme = uri
        .scheme_str()
        .filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let default_port = if scheme == "https" { 443 } else { 80 };
    let host = uri.host()?;
    let origin = match uri.port_u16().filter(|port| *port != default_port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    };
    Some(origin.to_lowercase())
}

/// Returns the path of a URL without a slash at the end; empty if it has none.
pub fn path_of(url: &str) -> String {
    let uri = url.parse::<http::Uri>();
    uri.map(|uri| uri.path().trim_end_matches('/').to_owned())
        .unwrap_or_default()
}

pub(super) fn network(text: &str) -> Result<ipnet::IpNet, String> {
    text.parse::<ipnet::IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from))
        .map_err(|_| {
            format!("`trusted_proxies` must contain networks, e.g. `10.0.0.0/8`, not `{text}`")
        })
}

/// Parses a duration of whole seconds, e.g. `90s`, `15m`, `2h`, `30d` or `1h 30m`: at least a second, at most ten
/// years.
pub fn duration(name: &str, text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|span| !span.is_zero() && span.subsec_nanos() == 0)
        .filter(|span| *span <= Duration::from_hours(87_840))
        .ok_or_else(|| {
            format!("`{name}` must be a duration, e.g. `90s`, `15m`, `2h` or `30d`, not `{text}`")
        })
}

/// Parses a size of at least 1 MiB, e.g. `64MiB`. Returns bytes.
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
