//! The connection URL: parsing, connecting, and error messages with a remedy.

use std::{
    error::Error as StdError,
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    time::Duration,
};

use postgres::{Client, error::SqlState};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::tls_config;
use crate::core::error::{Error, Result};

/// The timeout of the TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout of the whole connection set-up, including TLS and authentication.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of threads that wait for a server that accepts connections but does not respond.
const MAX_PENDING: usize = 64;

/// The TCP keepalive and user timeout, after which a vanished server is detected.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A Postgres database as a connection target: the parsed URL with its TLS configuration.
#[derive(Clone)]
pub struct Target {
    pub(super) config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    /// The number of connection attempts in progress.
    pending: Arc<AtomicUsize>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Target {
    /// Parses `postgres://user:password@host:port/name?sslmode=…`.
    ///
    /// The values of `sslmode` are those of libpq (<https://www.postgresql.org/docs/current/libpq-ssl.html>):
    /// `disable`: no encryption; `prefer` (the default): encrypted if the server supports it; `require`:
    /// always encrypted, without verifying the certificate; `verify-full`: encrypted, and the certificate and
    /// host name are checked against the system's root certificates.
    ///
    /// Errors: `Config`.
    pub fn parse(url: &str) -> Result<Target> {
        if url.matches('@').count() > 1 {
            // The driver would parse the rest of the password as a host, and show it in errors.
            return Err(Error::config(
                "the database's URL contains more than one `@`; encode it as `%40` in a password",
            ));
        }
        let (url, mode) = without_ssl_mode(url);
        let (mode, verify_certificate) = match mode.as_deref() {
            None | Some("prefer") => (SslMode::Prefer, false),
            Some("disable") => (SslMode::Disable, false),
            Some("require") => (SslMode::Require, false),
            Some("verify-full") => (SslMode::Require, true),
            Some(_) => {
                return Err(Error::config(
                    "`sslmode` in the database's URL must be `disable`, `prefer`, `require` or \
                     `verify-full`",
                ));
            }
        };
        let mut config = tokio_postgres::Config::from_str(&url).map_err(|error| {
            // The reason names the invalid option, never its value.
            let why = error.source().map(ToString::to_string);
            Error::config(format!(
                "the database's URL is invalid ({}); it must look like \
                 `postgres://user:password@host:5432/name?sslmode=verify-full`, with `@`, `:`, `/` \
                 in a password encoded as `%40`, `%3A`, `%2F`",
                why.unwrap_or_else(|| error.to_string())
            ))
        })?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none_or(str::is_empty) {
            return Err(Error::config(
                "the database's URL must contain a host and a database name, e.g. \
                 `postgres://user:password@host:5432/name`",
            ));
        }
        config
            .ssl_mode(mode)
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(KEEPALIVE)
            .tcp_user_timeout(KEEPALIVE);
        if config.get_application_name().is_none() {
            config.application_name("shop");
        }
        Ok(Target {
            config,
            tls: MakeRustlsConnect::new(tls_config(verify_certificate)?),
            pending: Arc::default(),
        })
    }

    /// Returns database name, host and port for messages, without the password.
    pub fn name(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) if host.contains(':') => format!("[{host}]"),
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let name = self.config.get_dbname().unwrap_or_default();
        format!("`{name}` at {host}:{port}")
    }

    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// Opens a connection. Blocks.
    ///
    /// Errors: `unavailable` with the reason and a remedy.
    pub fn connect(&self) -> Result<Client> {
        if self.pending.fetch_add(1, Ordering::SeqCst) >= MAX_PENDING {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            return Err(self.unresponsive());
        }
        // The driver's timeout covers only the TCP connection. So it connects on a separate thread, which is
        // leaked if the server does not respond.
        let (done, connected) = sync_channel(1);
        let (config, tls) = (self.config.clone(), self.tls.clone());
        let pending = Arc::clone(&self.pending);
        std::thread::Builder::new()
            .name("connecting".into())
            .spawn(move || {
                let connected = postgres::Config::from(config).connect(tls);
                pending.fetch_sub(1, Ordering::SeqCst);
                // The caller may have timed out.
                let _ = done.send(connected);
            })
            .map_err(|error| {
                self.pending.fetch_sub(1, Ordering::SeqCst);
                Error::internal(error)
            })?;
        match connected.recv_timeout(HANDSHAKE_TIMEOUT) {
            Ok(connected) => connected.map_err(|error| self.connect_error(&error)),
            Err(_) => Err(self.unresponsive()),
        }
    }

    /// Like [`Target::connect`], async.
    pub(super) async fn connect_async(
        &self,
    ) -> Result<
        (
            tokio_postgres::Client,
            tokio_postgres::Connection<
                tokio_postgres::Socket,
                <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<
                    tokio_postgres::Socket,
                >>::Stream,
            >,
        ),
    > {
        let connecting = self.config.connect(self.tls.clone());
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| self.connect_error(&error)),
            Err(_) => Err(self.unresponsive()),
        }
    }

    fn unresponsive(&self) -> Error {
        Error::unavailable(format!(
            "cannot open the database {}: the server does not respond; check that it is a healthy \
             Postgres server",
            self.name()
        ))
    }

    /// Returns the error with the reason and a remedy.
    fn connect_error(&self, error: &postgres::Error) -> Error {
        let name = self.name();
        let user = self.config.get_user().unwrap_or_default();
        let mut why = String::new();
        let mut source: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = source {
            // Some errors already end with the text of their source.
            let text = error.to_string();
            if !why.contains(&text) {
                why = if why.is_empty() {
                    text
                } else {
                    format!("{why}: {text}")
                };
            }
            source = error.source();
        }
        if let Some(db) = error.as_db_error() {
            db.message().clone_into(&mut why);
        }
        let code = error.code();
        let remedy = if code == Some(&SqlState::INVALID_PASSWORD)
            || why.ends_with("password missing")
        {
            format!("check the user `{user}` and its password")
        } else if code == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) {
            format!(
                "the server rejects this way of connecting for `{user}`; check the user, and `sslmode` \
                 if the server requires encryption"
            )
        } else if code == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            let database = self.config.get_dbname().unwrap_or_default();
            format!("run `GRANT CONNECT ON DATABASE {database} TO {user}` on the server")
        } else if code == Some(&SqlState::INVALID_CATALOG_NAME) {
            "create the database first (`createdb`)".to_owned()
        } else if code == Some(&SqlState::TOO_MANY_CONNECTIONS) {
            "the server has no free connections; try again, or increase its `max_connections`"
                .to_owned()
        } else if why.contains("TLS") || why.contains("certificate") {
            "check `sslmode`: use `disable` only on a trusted network, and `require` for a \
             certificate without a trusted root"
                .to_owned()
        } else {
            "check that it runs and that the address is correct".to_owned()
        };
        Error::unavailable(format!("cannot open the database {name}: {why}; {remedy}"))
    }
}

/// Splits `sslmode` from the URL, since the driver does not support all of its values. Returns the URL
/// without it, and its value.
fn without_ssl_mode(url: &str) -> (String, Option<String>) {
    // A password may contain an unencoded `?`.
    let host = url.find('@').unwrap_or(0);
    let Some(question) = url[host..].find('?').map(|at| host + at) else {
        return (url.to_owned(), None);
    };
    let (base, query) = (&url[..question], &url[question + 1..]);
    let mut mode = None;
    let kept: Vec<_> = query
        .split('&')
        .filter(|pair| match pair.strip_prefix("sslmode=") {
            Some(value) => {
                mode = Some(value.to_owned());
                false
            }
            None => true,
        })
        .collect();
    let url = if kept.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", kept.join("&"))
    };
    (url, mode)
}
