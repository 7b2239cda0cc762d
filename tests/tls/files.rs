//! Certificates from files: what is refused at the start, and the reload.

use std::{fs, process::Command};

use super::{CertificateFiles, TIMEOUT, reload};
use crate::support::{Process, ends, serve};

/// Returns the error of a server that must not start with these settings.
#[track_caller]
fn refused(settings: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("shop");
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.envs(settings.iter().copied());
    let output = ends(serve(command, &data_dir, &[]));
    let why = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{why}");
    assert_eq!(why.lines().count(), 1, "{why}");
    assert!(!data_dir.exists(), "nothing is created");
    why
}

#[test]
fn wrong_certificate_files_are_refused_at_start() {
    let (files, other) = (CertificateFiles::new(), CertificateFiles::new());
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (certificate, key) = (text(files.certificate()), text(files.key()));
    let missing = format!("{certificate}.missing");

    let why = refused(&[("SHOP_TLS_CERT", &missing), ("SHOP_TLS_KEY", &key)]);
    assert!(why.contains("tls_cert") && why.contains(&missing), "{why}");
    let both_missing = [("SHOP_TLS_CERT", &*missing), ("SHOP_TLS_KEY", &*missing)];
    let why = refused(&both_missing);
    assert!(
        why.contains("`tls_cert`: cannot") && why.contains("`tls_key`: cannot"),
        "{why}"
    );
    let why = refused(&[("SHOP_TLS_CERT", &certificate)]);
    assert!(why.contains("set both"), "{why}");
    let why = refused(&[("SHOP_TLS_CERT", &key), ("SHOP_TLS_KEY", &key)]);
    assert!(why.contains("no certificate"), "{why}");
    let why = refused(&[
        ("SHOP_TLS_CERT", &certificate),
        ("SHOP_TLS_KEY", &certificate),
    ]);
    assert!(why.contains("no private key"), "{why}");
    let other_key = text(other.key());
    let why = refused(&[
        ("SHOP_TLS_CERT", &certificate),
        ("SHOP_TLS_KEY", &other_key),
    ]);
    assert!(why.contains("does not belong"), "{why}");
    let why = refused(&[
        ("SHOP_TLS_CERT", &certificate),
        ("SHOP_TLS_KEY", &key),
        ("SHOP_ACME_DOMAINS", "shop.example"),
    ]);
    assert!(why.contains("not both"), "{why}");
    let why = refused(&[("SHOP_ACME_DOMAINS", "*.shop.example")]);
    assert!(why.contains("acme_domains"), "{why}");
    let why = refused(&[("SHOP_REDIRECT_LISTEN", "127.0.0.1:0")]);
    assert!(why.contains("https://"), "{why}");
}

#[test]
fn an_expired_certificate_is_reported_and_used() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    files.replace(2020);
    let mut server = files.start(directory.path(), &[]);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let mut lines = server.stderr_lines();
    assert!(lines.any(|line| line.contains("the certificate expired at 2020-01-01")));
}

/// Returns the certificate that the server presents.
async fn presented(files: &CertificateFiles, server: &Process) -> Option<Vec<u8>> {
    let stream = files.connect(server, &[]).await;
    let (_, connection) = stream.get_ref();
    Some(connection.peer_certificates()?.first()?.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_reloads_the_certificate_unless_it_is_wrong() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let mut server = files.start(directory.path(), &[("SHOP_LOG", "info")]);
    assert_eq!(presented(&files, &server).await, Some(files.der().to_vec()));

    let kept = files.connect(&server, &[]).await;
    files.replace(2051);
    reload(&server);
    let mut lines = server.stderr_lines();
    assert!(lines.any(|line| line.contains("the certificate was reloaded")));
    assert_eq!(presented(&files, &server).await, Some(files.der().to_vec()));
    drop(kept);

    let good = files.pem();
    fs::write(files.certificate(), "nonsense").unwrap();
    reload(&server);
    assert!(lines.any(|line| line.contains("could not reload the certificate")));
    fs::write(files.certificate(), good).unwrap();
    assert_eq!(presented(&files, &server).await, Some(files.der().to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_does_not_end_a_server_without_tls() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path());
    reload(&server);
    tokio::time::sleep(TIMEOUT / 100).await;
    let health = reqwest::get(format!("{}/healthz", server.url)).await;
    assert_eq!(health.unwrap().status(), 200);
}
