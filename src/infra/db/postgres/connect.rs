//! The database that an operator named: its address, how far it is trusted, and whether it is one
//! that the shop can live in.

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
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::core::error::{Error, Result};

/// The oldest server that will do, as `server_version_num` says it.
const OLDEST: i32 = 140_000;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a server that was reached may take to let the shop in.
const WELCOME_LIMIT: Duration = Duration::from_secs(10);

/// How many threads may hang on a server that has been reached and never says a word.
const MOST_UNANSWERED: usize = 64;

/// After so long without a word, a server that has vanished is noticed.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// A database on a server, and how its connections are made.
#[derive(Clone)]
pub struct Target {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    /// Connections that are asked for and neither made nor refused.
    unanswered: Arc<AtomicUsize>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Target {
    /// Reads `postgres://user:password@host:port/name?sslmode=…`. `disable` never encrypts; `prefer`
    /// (the default) does where the server offers it and `require` always does, without a look at
    /// the certificate; `verify-full` checks that, and the host's name, against the system's roots
    /// (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
    pub fn parse(url: &str) -> Result<Target> {
        if url.matches('@').count() > 1 {
            // The driver would take the rest of the password for a host, and tell it.
            return Err(Error::config(
                "the database's URL holds more than one `@`; write one in a password as `%40`",
            ));
        }
        let (url, mode) = without_ssl_mode(url);
        let (mode, verified) = match mode.as_deref() {
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
            // The reason names the option that is wrong, never what stands in it.
            let why = error.source().map(ToString::to_string);
            Error::config(format!(
                "the database's URL cannot be read ({}); write \
                 `postgres://user:password@host:5432/name?sslmode=verify-full`, and `@`, `:`, `/` \
                 in a password as `%40`, `%3A`, `%2F`",
                why.unwrap_or_else(|| error.to_string())
            ))
        })?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none_or(str::is_empty) {
            return Err(Error::config(
                "the database's URL must name a host and a database, as \
                 `postgres://user:password@host:5432/name`",
            ));
        }
        config
            .ssl_mode(mode)
            .connect_timeout(CONNECT_LIMIT)
            .keepalives_idle(SILENCE_LIMIT)
            .tcp_user_timeout(SILENCE_LIMIT);
        if config.get_application_name().is_none() {
            config.application_name("shop");
        }
        Ok(Target {
            config,
            tls: MakeRustlsConnect::new(tls(verified)?),
            unanswered: Arc::default(),
        })
    }

    /// Name and server, for messages; never the password.
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

    /// A new connection. Blocks.
    pub fn connect(&self) -> Result<Client> {
        if self.unanswered.fetch_add(1, Ordering::SeqCst) >= MOST_UNANSWERED {
            self.unanswered.fetch_sub(1, Ordering::SeqCst);
            return Err(self.silent());
        }
        // Once it has a connection the driver waits for the server's word without end, so it does
        // on a thread that can be left behind.
        let (done, answer) = sync_channel(1);
        let (config, tls) = (self.config.clone(), self.tls.clone());
        let unanswered = Arc::clone(&self.unanswered);
        std::thread::Builder::new()
            .name("connecting".into())
            .spawn(move || {
                let connected = postgres::Config::from(config).connect(tls);
                unanswered.fetch_sub(1, Ordering::SeqCst);
                // Who asked may have left.
                let _ = done.send(connected);
            })
            .map_err(|error| {
                self.unanswered.fetch_sub(1, Ordering::SeqCst);
                Error::internal(error)
            })?;
        match answer.recv_timeout(WELCOME_LIMIT) {
            Ok(connected) => connected.map_err(|error| self.refused(&error)),
            Err(_) => Err(self.silent()),
        }
    }

    /// As [`Target::connect`], for who waits for more than one thing.
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
        match tokio::time::timeout(WELCOME_LIMIT, connecting).await {
            Ok(connected) => connected.map_err(|error| self.refused(&error)),
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> Error {
        Error::unavailable(format!(
            "cannot open the database {}: the server does not answer; check that it is Postgres \
             and well",
            self.name()
        ))
    }

    /// Why no connection came about, and what to do.
    fn refused(&self, error: &postgres::Error) -> Error {
        let name = self.name();
        let user = self.config.get_user().unwrap_or_default();
        let mut why = String::new();
        let mut source: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = source {
            // Each error's own text; some of them end with that of their source already.
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
                "the server does not let `{user}` in this way; check the user, and `sslmode` if it \
                 wants encryption"
            )
        } else if code == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            let database = self.config.get_dbname().unwrap_or_default();
            format!("`GRANT CONNECT ON DATABASE {database} TO {user}` there")
        } else if code == Some(&SqlState::INVALID_CATALOG_NAME) {
            "make the database first (`createdb`)".to_owned()
        } else if code == Some(&SqlState::TOO_MANY_CONNECTIONS) {
            "the server has no connection left; try again, or raise its `max_connections`"
                .to_owned()
        } else if why.contains("TLS") || why.contains("certificate") {
            "check `sslmode`: `disable` only on a network that you trust, `require` for a \
             certificate that the system does not know"
                .to_owned()
        } else {
            "check that it runs and that the address is right".to_owned()
        };
        Error::unavailable(format!("cannot open the database {name}: {why}; {remedy}"))
    }

    /// Refuses what the shop cannot live in: a server that is too old or only reads, a database of
    /// another program, a user without rights. Changes nothing. Returns whether the shop's schema is there.
    pub(in crate::infra::db) fn check(&self, client: &mut Client) -> Result<bool> {
        let name = self.name();
        let failed = |error: postgres::Error| super::session::failure(&error);
        let row = client
            .query_one(
                "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),
                        getdatabaseencoding()::text, current_schema()::text,
                        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
                        to_regclass('refinery_schema_history') IS NOT NULL,
                        current_setting('server_version'), current_setting('transaction_read_only')",
                &[],
            )
            .map_err(failed)?;
        let refuse = |why: String| Err(Error::unavailable(format!("the database {name} {why}")));
        if row.get::<_, i32>(0) < OLDEST {
            let version: String = row.get(6);
            return refuse(format!("is Postgres {version}; 14 or later is needed"));
        }
        if row.get(1) {
            return refuse("is a replica that only reads; name the primary".to_owned());
        }
        if row.get::<_, &str>(7) == "on" {
            return refuse("is set to be read-only (`default_transaction_read_only`)".to_owned());
        }
        let encoding: String = row.get(2);
        if encoding != "UTF8" {
            return refuse(format!(
                "keeps its texts in {encoding}; make it with `createdb -E UTF8 -T template0`"
            ));
        }
        let user = self.config.get_user().unwrap_or_default();
        if !row.get::<_, bool>(5) {
            // Views and tables that an extension brought are nobody's data. Another instance may have made
            // the shop's since the first question.
            let others = client
                .query(
                    "SELECT c.relname::text FROM pg_class c
                     JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
                     WHERE to_regclass('refinery_schema_history') IS NULL AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (
                         SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
                     ORDER BY 1 LIMIT 3",
                    &[],
                )
                .map_err(failed)?;
            if !others.is_empty() {
                let tables: Vec<_> = others.iter().map(|row| row.get::<_, &str>(0)).collect();
                return refuse(format!(
                    "belongs to another program (it holds `{}`); give the shop one of its own",
                    tables.join("`, `")
                ));
            }
            if row.get::<_, Option<String>>(3).is_none() || !row.get::<_, bool>(4) {
                return refuse(format!(
                    "does not let `{user}` make tables; `GRANT CREATE, USAGE ON SCHEMA public TO \
                     {user}` there, or make `{user}` its owner"
                ));
            }
            return Ok(false);
        }
        let first = client.query_opt(
            "SELECT name FROM refinery_schema_history WHERE version = 1",
            &[],
        );
        let first = match first {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                return refuse(format!(
                    "holds a shop of another role; name that one in the URL, or make `{user}` a \
                     member of it"
                ));
            }
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
                return refuse(
                    "belongs to another program (its `refinery_schema_history` is another one); \
                     give the shop one of its own"
                        .to_owned(),
                );
            }
            first => first.map_err(failed)?,
        };
        match first.map(|row| row.get::<_, String>(0)) {
            Some(step) if step != "accounts" => refuse(format!(
                "belongs to another program (its first migration is `{step}`); give the shop one \
                 of its own"
            )),
            step => Ok(step.is_some()),
        }
    }
}

/// The URL without its `sslmode`, and that: the driver does not know all of its values.
fn without_ssl_mode(url: &str) -> (String, Option<String>) {
    // A `?` may stand in a password as it is.
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

fn tls(verified: bool) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?;
    let config = if verified {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for certificate in found.certs {
            // One that cannot be read is one that is not trusted.
            let _ = roots.add(certificate);
        }
        if roots.is_empty() {
            return Err(Error::unavailable(
                "`sslmode=verify-full` needs root certificates, and the system has none: install \
                 `ca-certificates`, or name a file by `SSL_CERT_FILE`",
            ));
        }
        builder.with_root_certificates(roots)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
    };
    Ok(config.with_no_client_auth())
}

/// Encrypts to whoever answers, as `sslmode=require` says: against those who listen, not against
/// those who step between.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
