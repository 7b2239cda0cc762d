//! The configuration: the table of settings, and their effective values.
//!
//! A flag overrides the environment (`SHOP_*`), which overrides the configuration file (`shop.toml`), which
//! overrides the default. `SHOP_…_FILE` names a file from which a secret is read.
//!
//! | file | contents |
//! |---|---|
//! | `settings.rs` | every setting: type, default, help, flag |
//! | `setting.rs` | what a declaration consists of, and the macro for it |
//! | `sources.rs` | flags, environment and file, as texts that remember their source |
//! | `parse.rs` | from text to value |
//! | `reader.rs` | merges the sources into [`Config`], and explains the result |

mod parse;
mod reader;
mod setting;
mod settings;
mod sources;

use std::net::SocketAddr;

/// A secret. `Debug` does not show it, and dropping it clears its memory.
pub use secrecy::SecretString as Secret;

pub use self::{
    parse::{
        LogFormat, base_url, check_length, directory, duration, host_of, is_loopback_origin,
        origin_of, path_of,
    },
    reader::{EffectiveSetting, both, explain, join_errors},
    setting::{DefaultValue, Flag, Setting},
    settings::{Config, DATA_DIR, MIN_JWT_SECRET, MIN_WEBHOOK_SECRET, SETTINGS, TRANSFER_URLS},
    sources::{FILE_VARIABLE, Layer},
};

impl Config {
    /// Whether images are files in the data directory, rather than in a bucket or at an image host.
    pub fn stores_images_locally(&self) -> bool {
        self.images_url.is_none() && self.cloudinary_url.is_none()
    }

    /// Returns the base of links and image URLs, without a slash at the end. By default, that is the first domain of
    /// the certificate, or else the address at which the server listens.
    pub fn public_url(&self, address: SocketAddr) -> String {
        let default = || match self.acme_domains.first() {
            Some(domain) => format!("https://{domain}"),
            None => self.url_of(address),
        };
        self.public_url.clone().unwrap_or_else(default)
    }

    /// Returns the name of the shop in emails and pages. By default, that is the host of the public URL.
    pub fn shop_name(&self, public_url: &str) -> String {
        let host = || host_of(public_url).unwrap_or_else(|| public_url.to_owned());
        self.name.clone().unwrap_or_else(host)
    }

    /// Returns the URL of the listener at an address.
    pub fn url_of(&self, address: SocketAddr) -> String {
        let scheme = if self.has_tls() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// Whether the listener speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.tls_cert.is_some() || !self.acme_domains.is_empty()
    }
}
