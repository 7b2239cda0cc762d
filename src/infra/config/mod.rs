//! The configuration: the table of settings, and their effective values.
//!
//! A flag overrides the environment (`SHOP_*`), which overrides the configuration file (`shop.toml`), which
//! overrides the default in the table. `SHOP_…_FILE` names a file from which a secret is read.

mod parse;

use std::{
    collections::BTreeMap, net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration,
};

/// A secret. `Debug` does not show it, and dropping it clears its memory.
pub use secrecy::SecretString as Secret;
use serde::Serialize;

use self::parse::{base_url, choice, list, listen, network, origin, parse, secrets, size};
pub use self::parse::{check_length, directory, duration, origin_of, path_of};
use crate::core::money::Currency;

/// One setting.
struct Key {
    /// Its name in `shop.toml`. [`Key::variable`] derives the environment variable from it.
    name: &'static str,
    default: Option<&'static str>,
    is_secret: bool,
}

const fn key(name: &'static str, default: Option<&'static str>) -> Key {
    Key {
        name,
        default,
        is_secret: false,
    }
}

const fn secret(name: &'static str) -> Key {
    Key {
        name,
        default: None,
        is_secret: true,
    }
}

impl Key {
    /// Returns the environment variable: `SHOP_` and the name in upper case, or the name that Cloudinary's tools
    /// use.
    fn variable(&self) -> String {
        match self.name {
            "cloudinary_url" => "CLOUDINARY_URL".to_owned(),
            name => format!("SHOP_{}", name.to_uppercase()),
        }
    }
}

/// The default data directory.
pub const DATA_DIR: &str = "shop-data";

/// The minimum length of `jwt_secret`, in bytes.
pub const MIN_JWT_SECRET: usize = 32;

/// The minimum length of `razorpay_webhook_secret`, in bytes.
pub const MIN_WEBHOOK_SECRET: usize = 16;

/// The environment variable that names the configuration file.
pub const FILE_VARIABLE: &str = "SHOP_CONFIG";

const KEYS: &[Key] = &[
    key("listen", Some("127.0.0.1:8080")),
    key("data_dir", Some(DATA_DIR)),
    secret("database_url"),
    key("public_url", None),
    secret("jwt_secret"),
    key("access_token_ttl", Some("15m")),
    key("refresh_token_ttl", Some("30d")),
    key("currency", Some("INR")),
    secret("smtp_url"),
    key("mail_from", None),
    secret("cloudinary_url"),
    key("images_url", None),
    key("razorpay_key_id", None),
    secret("razorpay_key_secret"),
    secret("razorpay_webhook_secret"),
    key("razorpay_api_url", Some("https://api.razorpay.com")),
    key("payment_window", Some("30m")),
    key("cors_origins", Some("")),
    key("trusted_proxies", Some("")),
    key("client_ip_header", None),
    key("sockets_per_address", Some("100")),
    key("max_connections", None),
    key("keep_alive", Some("75s")),
    key("body_budget", Some("64MiB")),
    key("rate_limit", Some("on")),
    key("mail_files_kept", Some("7d")),
    key("image_max_pixels", Some("16000000")),
    key("log", Some("info")),
    key("log_format", Some("text")),
];

/// Arguments of `shop transfer`, which come from the environment because they may contain passwords. They are not
/// settings: the configuration file cannot have them.
const TRANSFER_KEYS: &[Key] = &[secret("transfer_from"), secret("transfer_to")];

/// The effective configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// `postgres://…`. `None` means SQLite in the data directory.
    pub database_url: Option<Secret>,
    /// The base of image URLs and of links in emails, without a slash at the end. `None` means the address at
    /// which the server listens.
    pub public_url: Option<String>,
    /// The first one signs, all are valid. If empty, one is generated at the first start.
    pub jwt_secrets: Vec<Secret>,
    pub access_token_ttl: Duration,
    pub refresh_token_ttl: Duration,
    pub currency: Currency,
    /// The URL of the mail server. `None` means that emails are files in the data directory.
    pub smtp_url: Option<Secret>,
    /// The sender of emails, e.g. `Shop <shop@example.com>`.
    pub mail_from: Option<String>,
    /// `cloudinary://key:secret@cloud`. `None` means another image store.
    pub cloudinary_url: Option<Secret>,
    /// `s3://bucket/prefix`. `None` means that images are files in the data directory.
    pub images_url: Option<String>,
    /// The API key of the shop's Razorpay account. `None` means the mock gateway.
    pub razorpay_key_id: Option<String>,
    pub razorpay_key_secret: Option<Secret>,
    /// The base URL of Razorpay's API, without a slash at the end.
    pub razorpay_api_url: String,
    /// All of them are valid. If empty, one is generated at the first start.
    pub webhook_secrets: Vec<Secret>,
    /// How long an order may remain unpaid before it expires.
    pub payment_window: Duration,
    /// Origins whose pages may call the API from a browser, e.g. `https://shop.example`.
    pub cors_origins: Vec<String>,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// The header with the client's address that trusted proxies set, instead of `X-Forwarded-For`.
    pub client_ip_header: Option<http::HeaderName>,
    /// The maximum number of open WebSocket connections per client network.
    pub sockets_per_address: usize,
    /// The maximum number of open connections. `None` means as many as the limit of open files allows.
    pub max_connections: Option<usize>,
    /// The idle timeout of keep-alive connections.
    pub keep_alive: Duration,
    /// The memory budget for all request bodies in progress, in bytes.
    pub body_budget: usize,
    pub rate_limit: bool,
    /// How long emails that were written to files are kept.
    pub mail_files_kept: Duration,
    /// The maximum number of pixels of an uploaded image.
    pub image_max_pixels: u64,
    /// The log filter, e.g. `info` or `warn,shop=debug`.
    pub log: String,
    pub log_as_json: bool,
}

/// The values from one source, by name.
pub type Layer = BTreeMap<String, String>;

/// The effective value of a setting and its source. Secrets are redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub name: &'static str,
    /// `None` if it is not set and has no default.
    pub value: Option<String>,
    pub origin: &'static str,
}

/// Returns the effective value of every setting. `layers` are in order of precedence, each with its name.
pub fn explain(layers: &[(&'static str, &Layer)]) -> Vec<Setting> {
    let redact = |key: &Key, value: &str| {
        if key.is_secret && !value.is_empty() {
            "[redacted]".to_owned()
        } else {
            value.to_owned()
        }
    };
    KEYS.iter()
        .map(|key| {
            let found = layers
                .iter()
                .find_map(|(origin, layer)| Some((*origin, layer.get(key.name)?.as_str())));
            let (origin, value) = match found {
                Some((origin, value)) => (origin, Some(value)),
                None => ("default", key.default),
            };
            Setting {
                name: key.name,
                value: value.map(|value| redact(key, value)),
                origin,
            }
        })
        .collect()
}

/// Parses `shop.toml`. The items of a list are joined by commas.
///
/// Errors: the text is not TOML, or has an unknown key or an unsupported value.
pub fn parse_file(text: &str) -> Result<Layer, String> {
    let table: toml::Table = text.parse().map_err(|e| syntax_error(text, &e))?;
    table
        .into_iter()
        .map(|(name, value)| {
            if !KEYS.iter().any(|key| key.name == name) {
                return Err(format!("unknown key `{name}`; {}", known_keys()));
            }
            let value = scalar(&name, value)?;
            Ok((name, value))
        })
        .collect()
}

/// Returns a syntax error in one line; the parser's own message has several.
fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line} is not valid TOML: {}", error.message())
}

fn scalar(name: &str, value: toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(on) => Ok(if on { "on" } else { "off" }.to_owned()),
        toml::Value::Array(items) => {
            let items: Result<Vec<_>, _> =
                items.into_iter().map(|item| scalar(name, item)).collect();
            items.map(|items| items.join(","))
        }
        _ => Err(format!(
            "`{name}` must be a string, an integer, a boolean or an array"
        )),
    }
}

fn known_keys() -> String {
    let names: Vec<_> = KEYS.iter().map(|key| format!("`{}`", key.name)).collect();
    format!("known keys are {}", names.join(", "))
}

/// Prefixes of variables that are not settings: Kubernetes sets some for a service named `shop`; the tests have
/// their own.
const FOREIGN_PREFIXES: [&str; 4] = ["SHOP_SERVICE_", "SHOP_PORT", "SHOP_TEST_", "SHOP_BENCH_"];

/// Reads the settings from environment variables.
///
/// Errors: an unknown `SHOP_*` variable, or a `SHOP_…_FILE` that cannot be read.
pub fn from_environment(
    variables: &BTreeMap<String, String>,
    read_file: impl Fn(&str) -> std::io::Result<String>,
) -> Result<Layer, String> {
    let variable = |name: &str| variables.get(name).cloned();
    let keys = || KEYS.iter().chain(TRANSFER_KEYS);
    let is_known = |name: &str| {
        name == FILE_VARIABLE
            || keys().any(|key| {
                let own = key.variable();
                name == own || (key.is_secret && name.strip_suffix("_FILE") == Some(&own))
            })
    };
    for name in variables.keys().filter(|name| name.starts_with("SHOP_")) {
        if !is_known(name) && !FOREIGN_PREFIXES.iter().any(|start| name.starts_with(start)) {
            return Err(format!(
                "unknown environment variable `{name}`; {}, each with the prefix `SHOP_` and in upper case",
                known_keys()
            ));
        }
    }
    let mut layer = Layer::new();
    for key in keys() {
        let name = key.variable();
        if let Some(value) = variable(&name) {
            layer.insert(key.name.to_owned(), value);
        } else if key.is_secret
            && let Some(path) = variable(&format!("{name}_FILE"))
        {
            let text = read_file(&path).map_err(|e| format!("`{name}_FILE`: `{path}`: {e}"))?;
            layer.insert(key.name.to_owned(), text.trim_end().to_owned());
        }
    }
    Ok(layer)
}

impl Config {
    /// Merges and parses the layers, which are in order of precedence.
    ///
    /// Errors: the first invalid setting, and what it must be.
    pub fn from_layers(layers: &[Layer]) -> Result<Config, String> {
        let find = |name: &str| -> Option<&str> {
            layers
                .iter()
                .find_map(|layer| layer.get(name))
                .map(String::as_str)
                .or_else(|| {
                    KEYS.iter()
                        .find(|key| key.name == name)
                        .and_then(|key| key.default)
                })
        };
        let text = |name: &str| find(name).unwrap_or_default();
        let set = |name: &str| find(name).filter(|value| !value.is_empty());
        Ok(Config {
            listen: listen(text("listen"))?,
            data_dir: directory("data_dir", text("data_dir"))?,
            database_url: find("database_url").map(|url| Secret::from(url)),
            public_url: find("public_url")
                .map(|url| base_url("public_url", "https://shop.example", url))
                .transpose()?,
            jwt_secrets: secrets("jwt_secret", text("jwt_secret"), MIN_JWT_SECRET)?,
            access_token_ttl: duration("access_token_ttl", text("access_token_ttl"))?,
            refresh_token_ttl: duration("refresh_token_ttl", text("refresh_token_ttl"))?,
            currency: Currency::from_code(text("currency"))
                .ok_or("`currency` must be an ISO 4217 code, e.g. `INR`")?,
            smtp_url: find("smtp_url").map(|url| Secret::from(url)),
            mail_from: find("mail_from").map(str::to_owned),
            cloudinary_url: find("cloudinary_url").map(|url| Secret::from(url)),
            images_url: find("images_url").map(str::to_owned),
            razorpay_key_id: set("razorpay_key_id").map(str::to_owned),
            razorpay_key_secret: set("razorpay_key_secret").map(|key| Secret::from(key)),
            razorpay_api_url: base_url(
                "razorpay_api_url",
                "https://api.razorpay.com",
                text("razorpay_api_url"),
            )?,
            webhook_secrets: secrets(
                "razorpay_webhook_secret",
                text("razorpay_webhook_secret"),
                MIN_WEBHOOK_SECRET,
            )?,
            payment_window: duration("payment_window", text("payment_window"))?,
            cors_origins: list(text("cors_origins"))
                .map(origin)
                .collect::<Result<_, _>>()?,
            trusted_proxies: list(text("trusted_proxies"))
                .map(network)
                .collect::<Result<_, _>>()?,
            client_ip_header: set("client_ip_header")
                .map(|name| {
                    parse(
                        "client_ip_header",
                        name,
                        "the name of a header, e.g. `Fly-Client-IP`",
                    )
                })
                .transpose()?,
            sockets_per_address: parse(
                "sockets_per_address",
                text("sockets_per_address"),
                "a whole number",
            )?,
            max_connections: set("max_connections")
                .map(|number| {
                    parse::<NonZeroUsize>("max_connections", number, "a whole number above 0")
                })
                .transpose()?
                .map(NonZeroUsize::get),
            keep_alive: duration("keep_alive", text("keep_alive"))?,
            body_budget: size("body_budget", text("body_budget"))?,
            mail_files_kept: duration("mail_files_kept", text("mail_files_kept"))?,
            rate_limit: choice("rate_limit", text("rate_limit"), "on", "off")?,
            image_max_pixels: parse(
                "image_max_pixels",
                text("image_max_pixels"),
                "a whole number",
            )?,
            log: text("log").to_owned(),
            log_as_json: choice("log_format", text("log_format"), "json", "text")?,
        })
    }

    /// Returns the base of links and image URLs. By default, that is the address at which the server listens.
    pub fn public_url(&self, address: SocketAddr) -> String {
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("http://{address}"))
    }
}
