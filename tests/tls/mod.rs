//! TLS in the binary: certificates from files and from ACME, their expiry, the handshake, HTTP/2, HSTS, and the redirect.

mod acme;
mod authority;
mod expiry;
mod files;
mod http2;
mod observatory;
mod requests;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Process, serve};

/// Timeout for what a test waits for.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A certificate for `localhost` and `127.0.0.1` that signs itself, in files.
pub(crate) struct CertificateFiles {
    directory: tempfile::TempDir,
}

impl CertificateFiles {
    pub(crate) fn new() -> CertificateFiles {
        let files = CertificateFiles {
            directory: tempfile::tempdir().unwrap(),
        };
        files.replace(2050);
        files
    }

    fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// Writes another certificate that is valid until the beginning of a year.
    fn replace(&self, valid_until: i32) {
        self.replace_until(valid_until, 1, 1);
    }

    fn replace_until(&self, year: i32, month: u8, day: u8) {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(self.certificate(), certificate.pem()).unwrap();
        fs::write(self.key(), key.serialize_pem()).unwrap();
    }

    fn pem(&self) -> Vec<u8> {
        fs::read(self.certificate()).unwrap()
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(&self.pem()).unwrap()
    }

    /// The environment of a server that uses the files.
    pub(crate) fn settings(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("SHOP_TLS_CERT", self.certificate()),
            ("SHOP_TLS_KEY", self.key()),
        ]
    }

    /// Starts a server with the files and more settings.
    fn start(&self, data_dir: &Path, more: &[(&str, &str)]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.envs(self.settings()).envs(more.iter().copied());
        Process::listening(serve(command, data_dir, &[]))
    }

    /// Returns an HTTP client that trusts the certificate.
    pub(crate) fn client(&self) -> reqwest::ClientBuilder {
        let certificate = reqwest::Certificate::from_pem(&self.pem()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([certificate])
            .timeout(TIMEOUT)
    }

    /// Connects with TLS, offering these protocols.
    async fn connect(&self, server: &Process, protocols: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address(server)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let connected = timeout(TIMEOUT, connecting).await;
        connected.expect("the handshake hangs").unwrap()
    }
}

fn address(server: &Process) -> SocketAddr {
    let address = server.url.strip_prefix("https://").unwrap();
    address.parse().unwrap()
}

fn reload(server: &Process) {
    let pid = server.pid().to_string();
    let done = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
    assert!(done.success());
}
