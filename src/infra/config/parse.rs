//! Parses the value of one setting. An error says what the setting must be; the reader puts the name in front.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use ipnet::IpNet;

use super::Secret;

/// Parses a setting that has a default.
pub(super) fn required<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(Option<&str>) -> Result<T, String> {
    move |text| parse(text.unwrap_or_default())
}

/// Parses a setting that has no default.
pub(super) fn optional<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(Option<&str>) -> Result<Option<T>, String> {
    move |text| text.map(&parse).transpose()
}

/// Parses a setting that has no default, and that an empty text leaves unset.
pub(super) fn unless_empty<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(Option<&str>) -> Result<Option<T>, String> {
    let parse = optional(parse);
    move |text| parse(text.filter(|text| !text.is_empty()))
}

/// Parses a list separated by commas. The error describes valid items by `expected`, and names every invalid one.
fn list_of<T>(
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> impl Fn(&str) -> Result<Vec<T>, String> {
    move |text| {
        let (mut parsed, mut wrong) = (Vec::new(), Vec::new());
        for item in items(text) {
            match parse(item) {
                Some(value) => parsed.push(value),
                None => wrong.push(format!("`{item}`")),
            }
        }
        if wrong.is_empty() {
            return Ok(parsed);
        }
        Err(format!(
            "must contain {expected}, not {}",
            wrong.join(" or ")
        ))
    }
}

/// Returns the items of a list, which are separated by commas.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let items = text.split(',').map(str::trim);
    items.filter(|item| !item.is_empty())
}

pub(super) fn from_str<T: FromStr>(expected: &str) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        text.parse()
            .map_err(|_| format!("must be {expected}, not `{text}`"))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every text is valid")]
pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "every text is valid")]
pub(super) fn secret(text: &str) -> Result<Secret, String> {
    Ok(text.into())
}

/// Parses a directory. Errors: it is empty, or begins with `~`, which only a shell expands.
pub fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("is empty; it must be a directory".to_owned());
    }
    if text == "~" || text.starts_with("~/") {
        return Err(format!(
            "is `{text}`, and only a shell expands `~`; write the full path"
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
        format!("must be an IP address and a port, e.g. `{example}`, not `{text}`")
    })
}

/// Parses a switch, also as TOML writes it.
pub(super) fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err(format!("must be `on` or `off`, not `{text}`")),
    }
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("must be `json` or `text`, not `{text}`")),
    }
}

/// Parses a list of secrets.
pub(super) fn secrets(text: &str, min: usize) -> Result<Vec<Secret>, String> {
    let secrets = items(text).map(|text| {
        check_length(text, min)?;
        secret(text)
    });
    secrets.collect()
}

/// Errors: the secret is shorter than `min` bytes.
pub fn check_length(secret: &str, min: usize) -> Result<(), String> {
    if secret.len() >= min {
        return Ok(());
    }
    Err(format!(
        "must be at least {min} bytes long, each secret of a list; generate one with \
         `openssl rand -hex 32`, and see `docs/upgrading.md` to replace one that is in use"
    ))
}

/// Parses a base URL: `http` or `https`, without credentials, query or fragment. Returns it without a slash at
/// the end.
pub fn base_url(text: &str, example: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err(format!(
            "must be a URL without credentials, e.g. `{example}`"
        ));
    }
    let is_url = text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some()
            && uri.query().is_none()
            && !text.contains('#')
    });
    if is_url {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(format!("must be a URL, e.g. `{example}`, not `{text}`"))
    }
}

pub(super) fn origins(text: &str) -> Result<Vec<String>, String> {
    let expected = "origins without a path or a `/` at the end, e.g. `https://shop.example`";
    let origin = |text: &str| origin_of(text).filter(|_| text.matches('/').count() == 2);
    list_of(expected, origin)(text)
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

/// Returns whether an origin, as browsers write it, is a page on this machine, on any port.
pub fn is_loopback_origin(origin: &str) -> bool {
    let uri = origin.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host);
    host.is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
        && origin_of(origin).as_deref() == Some(origin)
}

/// Returns the host of a URL.
pub fn host_of(url: &str) -> Option<String> {
    let uri = url.parse::<http::Uri>().ok()?;
    uri.host().map(str::to_owned)
}

/// Returns the path of a URL without a slash at the end; empty if it has none.
pub fn path_of(url: &str) -> String {
    let uri = url.parse::<http::Uri>();
    uri.map(|uri| uri.path().trim_end_matches('/').to_owned())
        .unwrap_or_default()
}

/// Parses the domain names of a certificate. Returns them in lower case.
pub(super) fn domains(text: &str) -> Result<Vec<String>, String> {
    list_of("domains without wildcards, e.g. `shop.example`", domain)(text)
}

fn domain(text: &str) -> Option<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_domain = text.len() <= 253
        && text.split('.').all(is_label)
        && text.parse::<std::net::IpAddr>().is_err();
    is_domain.then(|| text.to_ascii_lowercase())
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |text: &str| {
        let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
        text.parse().ok().or_else(|| address().ok())
    };
    list_of("networks, e.g. `10.0.0.0/8`", network)(text)
}

/// Parses a duration of whole seconds, e.g. `90s`, `15m`, `2h`, `30d` or `1h 30m`: at least a second, at most ten
/// years.
pub fn duration(text: &str) -> Result<Duration, String> {
    // Without the other units of humantime: its `M` are months.
    let is_allowed = |c: char| c.is_ascii_digit() || " smhd".contains(c);
    Some(text)
        .filter(|text| text.len() <= 20 && text.chars().all(is_allowed))
        .and_then(|text| humantime::parse_duration(text).ok())
        .filter(|span| !span.is_zero() && span.subsec_nanos() == 0)
        .filter(|span| *span <= Duration::from_hours(87_840))
        .ok_or_else(|| {
            format!("must be a duration, e.g. `90s`, `15m`, `2h` or `30d`, not `{text}`")
        })
}

/// Parses a size of at least 1 MiB, e.g. `64MiB`. Returns bytes.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    units
        .iter()
        .find_map(|(unit, shift)| {
            let number: usize = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(1 << shift)
        })
        .filter(|size| *size >= 1 << 20)
        .ok_or_else(|| format!("must be at least `1MiB`, e.g. `64MiB`, not `{text}`"))
}
