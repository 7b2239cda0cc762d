//! The configuration: one table of keys, and the values they come to.
//!
//! A value comes from its flag, else from `SHOP_*` in the environment, else from the file of settings,
//! else from the table. A secret may also come from the file that `SHOP_…_FILE` names.

mod read;

use std::{
    collections::BTreeMap, fmt, net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration,
};

use serde::Serialize;

use self::read::{base_url, choice, list, listen, network, origin, parse, secrets, size};
pub use self::read::{check_length, directory, duration, origin_of, path_of};
use crate::core::money::Currency;

/// One key of the configuration.
struct Key {
    /// As in `shop.toml`; `SHOP_` and capitals make the variable, see [`Key::variable`].
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
    /// The variable of the environment: Cloudinary's own programs have named theirs.
    fn variable(&self) -> String {
        match self.name {
            "cloudinary_url" => "CLOUDINARY_URL".to_owned(),
            name => format!("SHOP_{}", name.to_uppercase()),
        }
    }
}

/// The data directory, unless a setting names another.
pub const DATA_DIR: &str = "shop-data";

/// How many bytes a secret must have, at least.
pub const MIN_JWT_SECRET: usize = 32;
pub const MIN_WEBHOOK_SECRET: usize = 16;

/// The variable that names the file of settings, which cannot name itself.
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

/// Arguments of `shop transfer` that may hold passwords, and so come from the environment. They are no
/// settings: no file has them.
const TRANSFER_KEYS: &[Key] = &[secret("transfer_from"), secret("transfer_to")];

/// The effective configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// `postgres://…`; none: the file in the data directory.
    pub database_url: Option<Secret>,
    /// Without a slash at the end; in image URLs and mails. None: `http://` and where it listens.
    pub public_url: Option<String>,
    /// The first signs; none: one is made and kept in the data directory.
    pub jwt_secrets: Vec<Secret>,
    pub access_token_ttl: Duration,
    pub refresh_token_ttl: Duration,
    pub currency: Currency,
    /// Of the mail server; none: mails are files in the data directory.
    pub smtp_url: Option<Secret>,
    /// Who sends mails, as `Shop <shop@example.com>`.
    pub mail_from: Option<String>,
    /// `cloudinary://key:secret@cloud`; none: pictures are kept elsewhere.
    pub cloudinary_url: Option<Secret>,
    /// `s3://bucket/prefix`; none: pictures are files in the data directory.
    pub images_url: Option<String>,
    /// Of the shop's account at Razorpay; none: the mock provider takes the money.
    pub razorpay_key_id: Option<String>,
    pub razorpay_key_secret: Option<Secret>,
    /// Without a slash at the end.
    pub razorpay_api_url: String,
    /// All are valid; none: one is made and kept in the data directory.
    pub webhook_secrets: Vec<Secret>,
    /// How long an order waits for its money.
    pub payment_window: Duration,
    /// Origins that browsers may call from, as `https://shop.example`.
    pub cors_origins: Vec<String>,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// The header in which a trusted proxy names the client, instead of `X-Forwarded-For`.
    pub client_ip_header: Option<http::HeaderName>,
    pub sockets_per_address: usize,
    /// How many connections are open at once; `None`: as many as the limit of open files allows.
    pub max_connections: Option<usize>,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How many bytes all request bodies in progress may hold.
    pub body_budget: usize,
    pub rate_limit: bool,
    /// After this time a mail that was written to a file is deleted.
    pub mail_files_kept: Duration,
    /// How many pixels an uploaded picture may have.
    pub image_max_pixels: u64,
    pub log: String,
    pub log_as_json: bool,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Values by key, from one origin.
pub type Layer = BTreeMap<String, String>;

/// A value with where it comes from; a secret's is not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub name: &'static str,
    /// None: nothing is set.
    pub value: Option<String>,
    pub origin: &'static str,
}

/// What every key comes to, given the layers with their names, the strongest first.
pub fn explain(layers: &[(&'static str, &Layer)]) -> Vec<Setting> {
    let shown = |key: &Key, value: &str| {
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
                value: value.map(|value| shown(key, value)),
                origin,
            }
        })
        .collect()
}

/// Reads the values of `shop.toml`; a list's items are joined by commas.
pub fn parse_file(text: &str) -> Result<Layer, String> {
    let table: toml::Table = text.parse().map_err(|e| not_toml(text, &e))?;
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

/// In one line, where the parser would draw a picture.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line} is not TOML: {}", error.message())
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
            "`{name}` must be a text, a whole number, true, false or a list"
        )),
    }
}

fn known_keys() -> String {
    let names: Vec<_> = KEYS.iter().map(|key| format!("`{}`", key.name)).collect();
    format!("the keys are {}", names.join(", "))
}

/// Names that others set: Kubernetes for a service called `shop`, and the tests.
const FOREIGN: [&str; 4] = ["SHOP_SERVICE_", "SHOP_PORT", "SHOP_TEST_", "SHOP_BENCH_"];

/// The values of the environment. A variable that looks like the shop's and is none is an error.
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
        if !is_known(name) && !FOREIGN.iter().any(|start| name.starts_with(start)) {
            return Err(format!(
                "unknown variable `{name}`; {}, each as `SHOP_` and capitals",
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
    /// Puts the layers together, the strongest first.
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
            database_url: find("database_url").map(|url| Secret(url.to_owned())),
            public_url: find("public_url")
                .map(|url| base_url("public_url", "https://shop.example", url))
                .transpose()?,
            jwt_secrets: secrets("jwt_secret", text("jwt_secret"), MIN_JWT_SECRET)?,
            access_token_ttl: duration("access_token_ttl", text("access_token_ttl"))?,
            refresh_token_ttl: duration("refresh_token_ttl", text("refresh_token_ttl"))?,
            currency: Currency::from_code(text("currency"))
                .ok_or("`currency` must be an ISO 4217 code, as `INR`")?,
            smtp_url: find("smtp_url").map(|url| Secret(url.to_owned())),
            mail_from: find("mail_from").map(str::to_owned),
            cloudinary_url: find("cloudinary_url").map(|url| Secret(url.to_owned())),
            images_url: find("images_url").map(str::to_owned),
            razorpay_key_id: set("razorpay_key_id").map(str::to_owned),
            razorpay_key_secret: set("razorpay_key_secret").map(|key| Secret(key.to_owned())),
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
                        "a header's name, e.g. `Fly-Client-IP`",
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

    /// Where links and image URLs lead, given where the server listens.
    pub fn public_url(&self, listening: SocketAddr) -> String {
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("http://{listening}"))
    }
}
