//! The certificate of the listener: read from files, or ordered by ACME.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{
    acme::{Acme, Store},
    certificate::{Certificate, Invalid},
};
use crate::{
    app::{App, CertificateExpiry},
    core::{
        clock::Timestamp,
        error::{Error, Result},
    },
    infra::config::{Config, both},
    server::DataDir,
};

/// The protocols above TLS, in order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate is reported when it expires within this time.
pub(in crate::server) const EXPIRY_NOTICE: Duration = Duration::from_hours(14 * 24);

/// How often the expiry of a certificate from a file is checked.
const EXPIRY_CHECK_INTERVAL: Duration = Duration::from_hours(24);

/// TLS of the listener.
#[derive(Debug)]
pub struct Tls {
    pub(super) config: Arc<ServerConfig>,
    current: Arc<Current>,
    pub(super) source: Source,
}

/// Where the certificate comes from.
#[derive(Debug)]
pub(super) enum Source {
    Files(PemFiles),
    Acme(Acme),
}

/// The certificate of new connections. ACME has none before its first order.
#[derive(Debug)]
pub(super) struct Current {
    certificate: RwLock<Option<Certificate>>,
    /// When it expires, for checks and metrics.
    expiry: CertificateExpiry,
}

impl Current {
    fn get(&self) -> Option<Certificate> {
        self.certificate
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set(&self, certificate: Certificate) {
        self.expiry.set(certificate.not_after);
        *self
            .certificate
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.get().map(|certificate| certificate.key)
    }
}

/// Checks the settings of TLS, and reads the certificate if it is in a file.
///
/// Errors: `Config`.
pub(in crate::server) fn check(config: &Config) -> Result<()> {
    if let Some(files) = PemFiles::from_config(config)? {
        let only_files = match &config.acme_domains[..] {
            [] => Ok(()),
            _ => Err(Error::config(
                "set `tls_cert` and `tls_key`, or `acme_domains`, but not both",
            )),
        };
        both(only_files, files.load())?;
    }
    Ok(())
}

impl Tls {
    /// Returns the configured TLS, or `None` if the listener speaks plain HTTP.
    ///
    /// Errors: `Config`.
    pub fn open(app: &App, data_dir: &DataDir) -> Result<Option<Arc<Tls>>> {
        let Some(source) = Source::from_config(app, data_dir)? else {
            return Ok(None);
        };
        let current = Arc::new(Current {
            certificate: RwLock::default(),
            expiry: app.certificate_expiry.clone(),
        });
        if let Source::Files(files) = &source {
            let certificate = files.load()?;
            log_expiry(&certificate, app.clock.now());
            current.set(certificate);
        }
        Ok(Some(Arc::new(Tls {
            config: server_config(&current)?,
            current,
            source,
        })))
    }

    /// Keeps the certificate up to date until the server stops.
    pub fn start(self: &Arc<Self>, app: &Arc<App>) {
        let (tls, app) = (Arc::clone(self), Arc::clone(app));
        tokio::spawn(async move {
            match &tls.source {
                Source::Files(_) => tls.watch_expiry(&app).await,
                Source::Acme(acme) => acme.run(&app, &tls.current).await,
            }
        });
    }

    /// Reads the certificate's files again. If they are wrong, the old certificate stays.
    pub fn reload(&self, app: &App) {
        let Source::Files(files) = &self.source else {
            tracing::info!("nothing to reload: the certificate is renewed by ACME");
            return;
        };
        match files.load() {
            Ok(certificate) => {
                self.current.set(certificate.clone());
                let until = certificate.not_after;
                tracing::info!(%until, "the certificate was reloaded");
                log_expiry(&certificate, app.clock.now());
            }
            Err(error) => tracing::error!(
                detail = error.detail(),
                "could not reload the certificate; the old one stays in use"
            ),
        }
    }

    async fn watch_expiry(&self, app: &App) {
        loop {
            let pause = tokio::time::sleep(EXPIRY_CHECK_INTERVAL);
            if app.stopping.run_until_cancelled(pause).await.is_none() {
                return;
            }
            if let Some(certificate) = self.current.get() {
                log_expiry(&certificate, app.clock.now());
            }
        }
    }
}

impl Source {
    fn from_config(app: &App, data_dir: &DataDir) -> Result<Option<Source>> {
        let config = &app.config;
        Ok(match PemFiles::from_config(config)? {
            Some(files) => Some(Source::Files(files)),
            None if config.acme_domains.is_empty() => None,
            None => Some(Source::Acme(Acme {
                domains: config.acme_domains.clone(),
                directory: config.acme_directory.clone(),
                email: config.acme_email.clone(),
                store: match config.database_url {
                    None => Store::Files(data_dir.clone()),
                    Some(_) => Store::Database(app.db.clone()),
                },
                clock: app.clock.clone(),
            })),
        })
    }
}

/// Returns when the certificate that a server would use now expires. `None` without TLS, and until ACME has the first
/// one.
///
/// Errors: `Config`, `Unavailable` if the certificate cannot be read or is wrong.
pub async fn stored_expiry(app: &App, data_dir: &DataDir) -> Result<Option<Timestamp>> {
    let certificate = match Source::from_config(app, data_dir)? {
        None => None,
        Some(Source::Files(files)) => Some(files.load()?),
        Some(Source::Acme(acme)) => acme.stored().await?,
    };
    Ok(certificate.map(|certificate| certificate.not_after))
}

/// The files of a certificate and its key.
#[derive(Debug)]
pub(super) struct PemFiles {
    certificate: PathBuf,
    key: PathBuf,
}

impl PemFiles {
    fn from_config(config: &Config) -> Result<Option<PemFiles>> {
        match (&config.tls_cert, &config.tls_key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(PemFiles {
                certificate: certificate.clone(),
                key: key.clone(),
            })),
            _ => Err(Error::config(
                "`tls_cert` and `tls_key` belong together; set both",
            )),
        }
    }

    /// Errors: `Config` if a file cannot be read or is wrong.
    fn load(&self) -> Result<Certificate> {
        let (chain, key) = both(
            read("tls_cert", &self.certificate),
            read("tls_key", &self.key),
        )?;
        let (certificate_path, key_path) = (self.certificate.display(), self.key.display());
        Certificate::from_pem(&chain, &key).map_err(|error| {
            Error::config(match error {
                Invalid::Chain(why) => {
                    format!("`tls_cert`: `{certificate_path}` is not a certificate: {why}")
                }
                Invalid::Key(why) => format!("`tls_key`: `{key_path}` is not a usable key: {why}"),
                Invalid::Mismatch => format!(
                    "the key in `{key_path}` does not belong to the certificate in `{certificate_path}`, which \
                     must be the first of its file"
                ),
            })
        })
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        Error::config(format!(
            "`{setting}`: cannot read `{}`: {error}",
            path.display()
        ))
    })
}

fn log_expiry(certificate: &Certificate, now: Timestamp) {
    let (from, until) = (certificate.not_before, certificate.not_after);
    if now >= until {
        tracing::warn!("the certificate expired at {until}; replace its files and send SIGHUP");
    } else if now < from {
        tracing::warn!("the certificate is not valid before {from}; is the clock right?");
    } else if now.plus(EXPIRY_NOTICE) >= until {
        tracing::warn!("the certificate expires at {until}; replace its files and send SIGHUP");
    }
}

fn server_config(current: &Arc<Current>) -> Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::<Current>::clone(current));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    // Clients keep their sessions themselves, so that many of them take no memory.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(Error::internal)?;
    Ok(Arc::new(config))
}
