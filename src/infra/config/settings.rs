//! The settings. Everything about a setting is declared only here: the tables in
//! `docs/configuration.md`, `packaging/shop.example.toml` and the help of the flags are generated
//! from it.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use ipnet::IpNet;

use super::{
    Secret,
    parse::{
        LogFormat, base_url, directory, domains, duration, from_str, listen, log_format, networks,
        on_or_off, optional, origins, required, secret, secrets, size, text, unless_empty,
    },
    reader::Reader,
    setting::{
        DefaultValue::{Unset, Value},
        Flag, Setting, settings,
    },
};
use crate::core::money::Currency;

/// The default data directory.
pub const DATA_DIR: &str = "shop-data";

/// The minimum length of `jwt_secret`, in bytes.
pub const MIN_JWT_SECRET: usize = 32;

/// The minimum length of `razorpay_webhook_secret`, in bytes.
pub const MIN_WEBHOOK_SECRET: usize = 16;

/// The ACME directory of Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

settings! {
    "Storage and network" {
        /// Data directory of the shop.
        ///
        /// It holds `shop.db`, `images/`, `mail/`, `keys/` and `lock`. Created if it is missing, accessible only to
        /// its owner. Not allowed in the data directory's own `shop.toml`.
        data_dir: PathBuf = required(directory), {
            default: Value(DATA_DIR),
            flag: Some(Flag { name: "data-dir", value_name: "DIR", command: None }),
        };
        /// Postgres database (14 or newer) to use instead of the SQLite file in the data directory, e.g.
        /// `postgres://user@host/name?sslmode=verify-full`.
        ///
        /// `--database-url` takes a URL without a password.
        database_url: Option<Secret> = optional(secret), {
            default: Unset("SQLite in the data directory"),
            example: Some("postgres://shop@db.example/shop?sslmode=verify-full"),
            is_secret: true,
            flag: Some(Flag { name: "database-url", value_name: "URL", command: None }),
        };
        /// IP address and port to listen on; port 0 picks a free one.
        ///
        /// The server prints the address.
        listen: SocketAddr = required(listen), {
            default: Value("127.0.0.1:8080"),
            flag: Some(Flag { name: "listen", value_name: "ADDRESS", command: Some("serve") }),
        };
        /// Start of image URLs and of links in emails. It may have a path, which the proxy in front must strip.
        public_url: Option<String> = optional(|url| base_url(url, "https://shop.example")), {
            default: Unset("the listening address, after `http://` or, with TLS, `https://`; the first ACME domain"),
            example: Some("https://shop.example"),
        };
        /// Name of the shop in emails and pages.
        name: Option<String> = unless_empty(crate::core::text::short), {
            default: Unset("the host of `public_url`"),
            example: Some("Kettles & More"),
        };
        /// List of origins, such as `https://shop.example`, whose pages may call the API from a browser and follow
        /// live inventory. A demo also allows all pages on this machine.
        cors_origins: Vec<String> = required(origins), { default: Value("") };
        /// List of networks of the reverse proxies in front, such as `10.0.0.0/8`. Only their `X-Forwarded-For` is
        /// believed. The client is the rightmost hop outside these networks.
        trusted_proxies: Vec<IpNet> = required(networks), { default: Value("") };
        /// Header in which those proxies name the client instead of `X-Forwarded-For`, such as `Fly-Client-IP`. Set
        /// it only if the proxy overwrites what a client sends in it.
        client_ip_header: Option<http::HeaderName> =
            unless_empty(from_str("the name of a header, e.g. `Fly-Client-IP`")), {
            example: Some("Fly-Client-IP"),
        };
        /// `on` serves the console, a page for admins, at `/console`.
        console: bool = required(on_or_off), { default: Value("off") };
    }

    "TLS" {
        /// PEM file with the certificate and its intermediates; the listener then speaks TLS. Read again on SIGHUP.
        tls_cert: Option<PathBuf> = unless_empty(directory), { example: Some("/etc/shop/fullchain.pem") };
        /// PEM file with the certificate's private key, unencrypted. Required with `tls_cert`.
        tls_key: Option<PathBuf> = unless_empty(directory), { example: Some("/etc/shop/privkey.pem") };
        /// List of domains for which certificates are ordered and renewed by ACME, which accepts the authority's terms
        /// of service. Port 443 of each domain must lead to this listener.
        acme_domains: Vec<String> = required(domains), {
            default: Unset("none"),
            example: Some("shop.example"),
        };
        /// Directory URL of the ACME certificate authority.
        acme_directory: String = required(|url| base_url(url, LETS_ENCRYPT)), {
            default: Value(LETS_ENCRYPT),
        };
        /// Address for the certificate authority's notices.
        acme_email: Option<String> = unless_empty(text), { example: Some("you@shop.example") };
        /// Second address to listen on, without TLS, that redirects every request to `public_url`, which must be an
        /// `https://` URL.
        redirect_listen: Option<SocketAddr> = unless_empty(super::parse::listen), { example: Some("0.0.0.0:80") };
    }

    "Backups" {
        /// Where scheduled backups go: a directory, `file:///path` or `s3://bucket/prefix`. A bucket is reached through
        /// the usual `AWS_*` variables.
        backup_url: Option<String> = unless_empty(text), {
            default: Unset("no scheduled backups; `shop backup` writes into `backups/` in the data directory"),
            example: Some("s3://bucket/backups"),
        };
        /// Time between two scheduled backups.
        backup_every: Duration = required(duration), { default: Value("24h") };
        /// Whether the WAL of a SQLite shop is archived to `backup_url` every second, so that `shop restore --to` can
        /// restore any moment.
        backup_wal: bool = required(on_or_off), { default: Value("off") };
        /// Number of backups to keep. A scheduled backup deletes older ones, and the images and the archived WAL that only
        /// they needed. The newest one from before the last migration is kept in addition.
        backup_keep: NonZeroUsize = required(from_str("a whole number above 0")), {
            default: Value("14"),
        };
    }

    "Accounts and currency" {
        /// Signs access tokens. At least 32 bytes each; generate one with `openssl rand -hex 32`. In a list, the
        /// first signs and all are valid.
        jwt_secret: Vec<Secret> = required(|text| secrets(text, MIN_JWT_SECRET)), {
            default: Unset("generated at the first start and kept"),
            is_secret: true,
        };
        /// Lifetime of an access token.
        access_token_ttl: Duration = required(duration), { default: Value("15m") };
        /// Lifetime of a refresh token.
        refresh_token_ttl: Duration = required(duration), { default: Value("30d") };
        /// How long the cart of a guest is kept after its last change.
        guest_cart_ttl: Duration = required(duration), { default: Value("30d") };
        /// Currency, as an ISO 4217 code. Recorded at the first start; a different value is refused later.
        currency: Option<Currency> = optional(|code| {
            Currency::from_code(code).ok_or_else(|| "must be an ISO 4217 code, e.g. `INR`".to_owned())
        }), {
            default: Unset("the recorded one; `INR` in a new shop"),
            example: Some("EUR"),
        };
    }

    "Mail" {
        /// Mail server. `smtps://` uses implicit TLS. `smtp://` uses STARTTLS: always with `?tls=required`, which is
        /// the default for a URL with a password unless the host is this machine; or if the server offers it, with
        /// `?tls=opportunistic`, the default otherwise.
        smtp_url: Option<Secret> = optional(secret), {
            default: Unset("emails are files in `mail/`"),
            example: Some("smtp://name:password@mail.example:587?tls=required"),
            is_secret: true,
        };
        /// Sender, such as `Shop <shop@shop.example>`; an address alone gets the name of the shop. Required with
        /// `smtp_url`.
        mail_from: Option<String> = optional(text), { example: Some("Shop <shop@shop.example>") };
        /// Age at which mail files are deleted.
        mail_files_kept: Duration = required(duration), { default: Value("7d") };
    }

    "Images" {
        /// S3-compatible bucket for images: `s3://bucket/prefix`. The bucket is reached through the usual `AWS_*`
        /// variables. Existing images are not moved.
        images_url: Option<String> = optional(text), {
            default: Unset("files in `images/`"),
            example: Some("s3://bucket/prefix"),
        };
        /// Cloudinary account for images: `cloudinary://key:secret@cloud`. Takes precedence over the local directory
        /// and the bucket.
        cloudinary_url: Option<Secret> = optional(secret), {
            example: Some("cloudinary://key:secret@cloud"),
            is_secret: true,
            other_variable: Some("CLOUDINARY_URL"), // as in the provider's own tools
        };
        /// Maximum number of pixels of an upload; larger ones are refused. Stored images stay valid.
        image_max_pixels: u64 = required(from_str("a whole number")), { default: Value("16000000") };
    }

    "Payments" {
        /// Key id of the Razorpay account.
        razorpay_key_id: Option<String> = unless_empty(text), {
            default: Unset("the mock provider"),
            example: Some("rzp_live_1DP5mmOlF5G5ag"),
        };
        /// Secret of that key. Required with the key id.
        razorpay_key_secret: Option<Secret> = unless_empty(secret), {
            example: Some("secret"),
            is_secret: true,
        };
        /// Verifies the provider's webhooks. At least 16 bytes each; all secrets of a list are valid. Required with the keys.
        razorpay_webhook_secret: Vec<Secret> = required(|text| secrets(text, MIN_WEBHOOK_SECRET)), {
            default: Unset("generated at the first start and kept"),
            is_secret: true,
        };
        /// Base URL of the provider's API.
        razorpay_api_url: String = required(|url| base_url(url, "https://api.razorpay.com")), {
            default: Value("https://api.razorpay.com"),
        };
        /// Age at which an unpaid order is cancelled.
        payment_window: Duration = required(duration), { default: Value("30m") };
    }

    "Limits" {
        /// `off` lifts every limit that is counted per client network, which is an IPv4 address or an IPv6 /64. For load
        /// tests only.
        rate_limit: bool = required(on_or_off), { default: Value("on") };
        /// Open connections in total. One client network gets a quarter.
        max_connections: Option<NonZeroUsize> =
            unless_empty(from_str("a whole number above 0")), {
            default: Unset("half of the file descriptors, less a reserve for the database; 16 to 10,000"),
            example: Some("5000"),
        };
        /// Live inventory connections of one client network.
        sockets_per_address: usize = required(from_str("a whole number")), { default: Value("100") };
        /// Memory for all request bodies in progress. One client network gets a quarter. Beyond it: 503.
        body_budget: usize = required(size), { default: Value("64MiB") };
        /// Memory for cached responses: lists of products and single products (SQLite).
        cache_memory: usize = required(size), { default: Value("32MiB") };
        /// How long an idle connection is kept. Set it longer than the idle timeout of the proxy in front.
        keep_alive: Duration = required(duration), { default: Value("75s") };
    }

    "Logs and metrics" {
        /// Log filter, such as `info` or `warn,shop=debug`.
        log: String = required(text), { default: Value("info") };
        /// Log format: `text` or `json`.
        log_format: LogFormat = required(log_format), {
            default: Value("text"),
            flag: Some(Flag { name: "log-format", value_name: "FORMAT", command: None }),
        };
        /// IP address and port of a listener for Prometheus, which reads `/metrics` there. Without TLS or a password:
        /// use an address that only the monitoring can reach.
        metrics_listen: Option<SocketAddr> = unless_empty(super::parse::listen), {
            default: Unset("no metrics"),
            example: Some("127.0.0.1:9100"),
        };
        /// URL of an OpenTelemetry collector, to which traces are sent by OTLP over HTTP: a span for each request and for
        /// each of its database operations. The usual `OTEL_*` variables set headers and sampling.
        otlp_url: Option<String> = unless_empty(|url| base_url(url, "http://127.0.0.1:4318")), {
            default: Unset("no traces"),
            example: Some("http://127.0.0.1:4318"),
        };
    }
}

/// Arguments of `shop transfer`, which can also come from the environment because they may contain passwords. They
/// are not settings: the configuration file cannot have them.
pub static TRANSFER_URLS: &[Setting] = &[
    Setting {
        name: "transfer_to",
        help: "Target, an empty database: `postgres://user@host/name` or `sqlite:DIR/shop.db`.",
        is_secret: true,
        flag: Some(Flag {
            name: "to",
            value_name: "URL",
            command: Some("transfer"),
        }),
        ..Setting::BLANK
    },
    Setting {
        name: "transfer_from",
        help: "Source, if not the configured shop: `postgres://user@host/name` or `sqlite:DIR/shop.db`.",
        is_secret: true,
        flag: Some(Flag {
            name: "from",
            value_name: "URL",
            command: Some("transfer"),
        }),
        ..Setting::BLANK
    },
];
