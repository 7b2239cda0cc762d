//! When the certificate expires: what admins, the metrics and `shop doctor` say.

use std::{ffi::OsStr, path::Path, process::Command};

use serde_json::Value;
use shop::core::clock::Clock;

use super::{
    CertificateFiles, Duration,
    acme::{start, start_with, wait_for_certificate},
    authority::{Authority, Behavior},
    reload,
};
use crate::{
    observability::{check, sample},
    support::{Remote, create_shop, program_on, run, storage_test},
};

impl CertificateFiles {
    /// Writes another certificate that expires in a week. Returns the day.
    fn replace_by_one_that_expires_soon(&self) -> String {
        let now = Clock::system().now();
        let at = now.plus(Duration::from_hours(7 * 24)).to_string();
        let (day, _) = at.split_once('T').unwrap();
        let [year, month, day_of_month] = &day.split('-').collect::<Vec<_>>()[..] else {
            panic!("{day}");
        };
        self.replace_until(
            year.parse().unwrap(),
            month.parse().unwrap(),
            day_of_month.parse().unwrap(),
        );
        day.to_owned()
    }
}

/// Returns what `shop doctor` says about the certificate.
fn doctor<V: AsRef<OsStr>>(mut command: Command, data_dir: &Path, settings: &[(&str, V)]) -> Value {
    command
        .args(["doctor", "--json", "--data-dir"])
        .arg(data_dir);
    let settings = settings.iter().map(|(name, value)| (*name, value));
    let output = command.envs(settings).output().unwrap();
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    check(&checks, "certificate")
}

#[track_caller]
fn assert_check(check: &Value, status: &str, words: &[&str]) {
    assert_eq!(check["status"], status, "{check}");
    let detail = check["detail"].as_str().unwrap();
    for word in words {
        assert!(detail.contains(word), "{word}: {detail}");
    }
}

/// The settings that the next function needs.
const METRICS: [(&str, &str); 2] = [("SHOP_METRICS_LISTEN", "127.0.0.1:0"), ("SHOP_LOG", "info")];

/// Returns the URL of the metrics of a server that has just started.
fn metrics_url(lines: &mut impl Iterator<Item = String>) -> String {
    let line = lines.find(|line| line.contains("metrics are at ")).unwrap();
    let (_, url) = line.split_once("metrics are at ").unwrap();
    url.to_owned()
}

/// Returns when the certificate expires according to the metrics, in seconds since 1970.
async fn expiry_metric(url: &str) -> Option<f64> {
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    sample(
        &metrics,
        "shop_tls_certificate_expiry_timestamp_seconds",
        &[],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_and_metrics_see_when_the_certificate_in_use_expires() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let mut server = files.start(directory.path(), &METRICS);
    let mut lines = server.stderr_lines();
    let metrics = metrics_url(&mut lines);
    let expiry = async || expiry_metric(&metrics).await.unwrap();

    let visitor = Remote::with_http(&server, files.client().build().unwrap());
    visitor.registered("ada").await;
    let promote = ["admin", "user", "role", "ada@example.com", "ADMIN"];
    assert!(run(directory.path(), &promote).status.success());
    let admin = visitor.signed_in("ada").await;
    let seen = check(&admin.readiness().await, "certificate");
    assert_check(&seen, "ok", &["2050-01-01"]);
    assert!((expiry().await - 2_524_608_000.0).abs() < 1.0);

    let day = files.replace_by_one_that_expires_soon();
    reload(&server);
    assert!(lines.any(|line| line.contains("the certificate was reloaded")));
    let client = Remote::with_http(&server, files.client().build().unwrap());
    let admin = client.with_token(admin.token.unwrap());
    let seen = check(&admin.readiness().await, "certificate");
    assert_check(&seen, "warning", &[&day, "SIGHUP"]);
    assert!(expiry().await < 2_524_608_000.0);
}

#[test]
fn the_doctor_checks_certificate_files() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    create_shop(directory.path());
    let doctor = || doctor(program_on(None), directory.path(), &files.settings());
    assert_check(&doctor(), "ok", &["2050-01-01"]);
    let day = files.replace_by_one_that_expires_soon();
    assert_check(&doctor(), "warning", &[&day, "SIGHUP"]);
    files.replace(2020);
    assert_check(&doctor(), "error", &["expired", "2020-01-01", "SIGHUP"]);
}

#[test]
fn the_doctor_reports_that_acme_has_no_certificate_yet() {
    let directory = tempfile::tempdir().unwrap();
    create_shop(directory.path());
    let settings = [("SHOP_ACME_DOMAINS", "shop.example")];
    let found = doctor(program_on(None), directory.path(), &settings);
    assert_check(&found, "error", &["none yet"]);
}

storage_test! {
    async fn admins_and_metrics_see_when_a_certificate_of_acme_expires(site: Site) {
        let authority = Authority::start(Behavior::Honest).await;
        let mut server = start_with(&site, &authority, &METRICS);
        let mut lines = server.stderr_lines();
        let metrics = metrics_url(&mut lines);
        wait_for_certificate(&server, &authority).await;
        // The domain of the certificate.
        server.url = server.url.replace("127.0.0.1", "localhost");
        let client = reqwest::Client::builder().tls_certs_only([authority.certificate()]);
        let visitor = Remote::with_http(&server, client.build().unwrap());
        visitor.registered("ada").await;
        let promote = ["admin", "user", "role", "ada@example.com", "ADMIN"];
        assert!(site.run(&promote).status.success());
        let admin = visitor.signed_in("ada").await;
        // The authority's certificates are valid for as long as those of `rcgen`, until 4096.
        let seen = check(&admin.readiness().await, "certificate");
        assert_check(&seen, "ok", &["4096-01-01"]);
        let expiry = expiry_metric(&metrics).await.unwrap();
        assert!((expiry - 67_090_118_400.0).abs() < 86_400.0, "{expiry}");
    }

    async fn the_metrics_have_no_expiry_until_acme_has_a_certificate(site: Site) {
        let authority = Authority::start(Behavior::Refuses).await;
        let mut server = start_with(&site, &authority, &METRICS);
        let mut lines = server.stderr_lines();
        let metrics = metrics_url(&mut lines);
        let waited = tokio::task::spawn_blocking(move || {
            lines.any(|line| line.contains("could not get a certificate by ACME"))
        });
        assert!(waited.await.unwrap());
        assert_eq!(expiry_metric(&metrics).await, None);
    }

    async fn the_doctor_checks_a_certificate_of_acme(site: Site) {
        let authority = Authority::start(Behavior::Honest).await;
        let server = start(&site, &authority);
        wait_for_certificate(&server, &authority).await;
        let settings = [
            ("SHOP_ACME_DOMAINS", "localhost"),
            ("SHOP_ACME_DIRECTORY", authority.directory.as_str()),
        ];
        let found = doctor(program_on(site.database.as_deref()), site.path(), &settings);
        assert_check(&found, "ok", &["it expires at"]);
    }
}
