//! Certificates by ACME, from a stand-in for the certificate authority.

use std::{fs, os::unix::fs::PermissionsExt, time::Instant};

use super::{
    TIMEOUT, address,
    authority::{Authority, Behavior},
};
use crate::support::{Engine, Process, Site, storage_test};

/// Starts a server whose certificate the authority issues.
pub(super) fn start(site: &Site, authority: &Authority) -> Process {
    start_with(site, authority, &[("SHOP_LOG", "info")])
}

/// Like [`start`], with more settings.
pub(super) fn start_with(site: &Site, authority: &Authority, more: &[(&str, &str)]) -> Process {
    let mut settings = vec![
        ("SHOP_ACME_DOMAINS", "localhost"),
        ("SHOP_ACME_DIRECTORY", authority.directory.as_str()),
        ("SHOP_ACME_EMAIL", "ops@shop.example"),
    ];
    settings.extend(more);
    let server = site.start_with(&settings);
    authority.validate_at(address(&server));
    server
}

/// Waits until the server answers with a certificate of the authority.
pub(super) async fn wait_for_certificate(server: &Process, authority: &Authority) {
    let client = reqwest::Client::builder().tls_certs_only([authority.certificate()]);
    let client = client.timeout(TIMEOUT).build().unwrap();
    let url = format!("https://localhost:{}/healthz", address(server).port());
    let started = Instant::now();
    loop {
        match client.get(&url).send().await {
            Ok(answer) => return assert_eq!(answer.status(), 200),
            Err(error) if started.elapsed() > TIMEOUT => panic!("no certificate: {error:?}"),
            Err(_) => tokio::time::sleep(TIMEOUT / 200).await,
        }
    }
}

storage_test! {
    async fn a_certificate_is_ordered_once_and_shared(site: Site) {
        let authority = Authority::start(Behavior::Honest).await;
        let server = start(&site, &authority);
        wait_for_certificate(&server, &authority).await;
        assert_eq!(authority.contacts(), ["mailto:ops@shop.example"]);
        server.terminate();
        assert_eq!(server.wait().code(), Some(0));

        let server = start(&site, &authority);
        wait_for_certificate(&server, &authority).await;
        if site.engine == Engine::Sqlite {
            for name in ["acme_account", "acme_certificate"] {
                let file = fs::metadata(site.path().join("keys").join(name)).unwrap();
                assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
            }
        } else {
            let other = site.another_instance();
            let second = start(&other, &authority);
            wait_for_certificate(&second, &authority).await;
        }
        assert_eq!(authority.orders(), 1);
    }
}

storage_test! {
    async fn the_keys_are_not_logged(site: Site) {
        let authority = Authority::start(Behavior::Honest).await;
        let mut server = start_with(&site, &authority, &[("SHOP_LOG", "trace")]);
        let lines = server.stderr_lines();
        let log = std::thread::spawn(move || lines.collect::<Vec<_>>());
        wait_for_certificate(&server, &authority).await;
        server.terminate();
        assert_eq!(server.wait().code(), Some(0));
        let keys: Vec<String> = match site.engine {
            Engine::Sqlite => ["acme_account", "acme_certificate"]
                .map(|name| fs::read_to_string(site.path().join("keys").join(name)).unwrap())
                .into(),
            Engine::Postgres => {
                let raw = site.raw_db();
                let stored = "SELECT value FROM settings WHERE name IN ('acme_account', 'acme_certificate')";
                raw.rows(stored).concat().into_iter().flatten().collect()
            }
        };
        let keys = keys.join("\n");
        // Long enough to be a part of a key.
        let is_of_key = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
        let parts: Vec<_> = keys.split(|c| !is_of_key(c)).filter(|part| part.len() >= 40).collect();
        assert!(parts.len() >= 2, "{} parts", parts.len());
        for line in log.join().unwrap() {
            assert!(!parts.iter().any(|part| line.contains(part)), "{line}");
        }
    }
}

/// Waits for a line of the log, and checks that the server still runs and stops.
#[track_caller]
fn assert_logs(mut server: Process, expected: &str) {
    let mut lines = server.stderr_lines();
    assert!(lines.any(|line| line.contains(expected)), "{expected}");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_certificate_authority_does_not_end_the_server() {
    let unreachable = Authority::start(Behavior::Honest).await.stopped();
    for (authority, expected) in [
        (unreachable, "could not get a certificate by ACME"),
        (
            Authority::start(Behavior::Refuses).await,
            "could not verify `localhost`",
        ),
        (
            Authority::start(Behavior::OtherDomain).await,
            "not valid for `localhost`",
        ),
        (
            Authority::start(Behavior::OtherKey).await,
            "issued for another key",
        ),
        (Authority::start(Behavior::Huge).await, "larger than"),
    ] {
        let site = Site::of(Engine::Sqlite, None);
        let server = start(&site, &authority);
        let waited = tokio::task::spawn_blocking(move || assert_logs(server, expected));
        waited.await.unwrap();
        assert!(!site.path().join("keys/acme_certificate").exists());
    }
}
