//! `shop doctor`.

use std::os::unix::fs::PermissionsExt;

use super::{configuration::shop, *};
use crate::support::{Site, program_on, storage_test};

/// Returns the status and the detail of a check.
#[track_caller]
fn check<'a>(checks: &'a Value, name: &str) -> (&'a str, &'a str) {
    let found = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no check `{name}`: {checks}"));
    (
        found["status"].as_str().unwrap(),
        found["detail"].as_str().unwrap(),
    )
}

/// Runs the doctor, which must exit with this code, and returns its checks.
#[track_caller]
fn examine(command: &mut Command, code: i32) -> Value {
    let output = command.output().unwrap();
    let (out, err) = streams(&output);
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert_eq!(err.is_empty(), code == 0, "{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn doctor(site: &Site) -> Command {
    let mut command = program_on(site.database.as_deref());
    command
        .args(["doctor", "--json", "--data-dir"])
        .arg(site.path());
    command
}

storage_test! {
    async fn a_healthy_shop_has_no_errors(site: Site) {
        let server = site.start();
        fs::set_permissions(site.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = doctor(&site);
        let checks = examine(command.env("SHOP_PUBLIC_URL", &server.url), 0);
        for name in ["versions", "configuration", "permissions", "schema", "jobs", "clock", "images"] {
            let (status, detail) = check(&checks, name);
            assert_eq!(status, "ok", "{name}: {detail}");
        }
        assert!(check(&checks, "versions").1.contains("SQLite 3."));
        assert!(check(&checks, "mail").1.contains("no mail server"));
        assert!(check(&checks, "payments").1.contains("simulated"));
        assert_eq!(check(&checks, "public-url").0, "ok");
        if site.database.is_none() {
            assert_eq!(check(&checks, "integrity").0, "ok");
            assert!(check(&checks, "disk-sync").1.contains(" ms"));
        }
        let text = stdout_of(&site.run(&["doctor"]));
        assert!(text.contains("check") && text.contains("versions"), "{text}");
    }

    async fn missing_and_late_backups_are_found(site: Site) {
        let server = site.start();
        let place = tempfile::tempdir().unwrap();
        let examine = |url: Option<&Path>, code| {
            let mut command = doctor(&site);
            command.env("SHOP_PUBLIC_URL", &server.url);
            examine(command.envs(url.map(|url| ("SHOP_BACKUP_URL", url))), code)
        };
        let checks = examine(None, 0);
        let (status, detail) = check(&checks, "backup");
        assert!(status == "warning" && detail.contains("SHOP_BACKUP_URL"), "{detail}");
        let checks = examine(Some(place.path()), 0);
        let (status, detail) = check(&checks, "backup");
        assert!(status == "warning" && detail.contains("none yet"), "{detail}");
        fs::write(place.path().join("shop-20200131T120000.000Z.tar.gz"), "").unwrap();
        let checks = examine(Some(place.path()), 1);
        let (status, detail) = check(&checks, "backup");
        assert!(status == "error" && detail.contains("2020-01-31T12:00:00.000Z"), "{detail}");
    }

    async fn services_that_cannot_be_used_are_errors_with_a_remedy(site: Site) {
        let server = site.start();
        server.terminate();
        server.wait();
        let mut command = doctor(&site);
        // Nothing listens on the discard port.
        let settings = [
            ("SHOP_SMTP_URL", "smtp://127.0.0.1:9"),
            ("SHOP_MAIL_FROM", "shop@example.com"),
            ("SHOP_RAZORPAY_KEY_ID", "rzp_test_1"),
            ("SHOP_RAZORPAY_KEY_SECRET", "secret"),
            ("SHOP_RAZORPAY_WEBHOOK_SECRET", "a secret of the webhooks"),
            ("SHOP_RAZORPAY_API_URL", "http://127.0.0.1:9"),
            ("CLOUDINARY_URL", "cloudinary://key:secret@cloud?upload_prefix=http://127.0.0.1:9"),
        ];
        let checks = examine(command.envs(settings), 1);
        for (name, remedy) in [
            ("mail", "SHOP_SMTP_URL"),
            ("images", "CLOUDINARY_URL"),
            ("payments", "SHOP_RAZORPAY_KEY_ID"),
        ] {
            let (status, detail) = check(&checks, name);
            assert_eq!(status, "error", "{name}: {detail}");
            assert!(detail.contains(remedy), "{name}: {detail}");
            assert!(!detail.contains("secret@"), "{detail}");
        }
    }
}

#[test]
fn an_invalid_configuration_is_the_only_check() {
    let here = tempfile::tempdir().unwrap();
    let mut command = shop(here.path(), &["doctor", "--json"]);
    let checks = examine(command.env("SHOP_CURRENCY", "GOLD"), 1);
    assert_eq!(checks.as_array().unwrap().len(), 1);
    let (status, detail) = check(&checks, "configuration");
    assert!(status == "error" && detail.contains("currency"), "{detail}");
}

#[test]
fn each_check_reports_its_own_fault() {
    let directory = tempfile::tempdir().unwrap();
    create_shop(directory.path());
    for (name, settings) in [
        (
            "certificate",
            &[
                ("SHOP_TLS_CERT", "/nowhere/cert.pem"),
                ("SHOP_TLS_KEY", "/nowhere/key.pem"),
            ][..],
        ),
        ("backup", &[("SHOP_BACKUP_URL", "ftp://example.com")][..]),
        ("images", &[("SHOP_IMAGES_URL", "s3://")][..]),
        ("public-url", &[("SHOP_REDIRECT_LISTEN", "127.0.0.1:0")][..]),
    ] {
        let mut command = program_on(None);
        command
            .args(["doctor", "--json", "--data-dir"])
            .arg(directory.path());
        let checks = examine(command.envs(settings.iter().copied()), 1);
        assert_eq!(check(&checks, "schema").0, "ok", "{name}: {checks}");
        let wrong = checks.as_array().unwrap().iter();
        let wrong: Vec<_> = wrong.filter(|check| check["status"] == "error").collect();
        assert_eq!(wrong.len(), 1, "{checks}");
        assert_eq!(wrong[0]["name"], name, "{checks}");
    }
}

#[test]
fn a_missing_shop_is_an_error() {
    let here = tempfile::tempdir().unwrap();
    let checks = examine(&mut shop(here.path(), &["doctor", "--json"]), 1);
    let (_, detail) = check(&checks, "permissions");
    assert_eq!(detail, "the data directory `shop-data` does not exist");
    let (status, detail) = check(&checks, "schema");
    assert!(
        status == "error" && detail.contains("shop serve"),
        "{detail}"
    );
}

#[test]
fn a_damaged_database_and_an_open_directory_are_found() {
    let directory = tempfile::tempdir().unwrap();
    create_shop(directory.path());
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = directory.path().join("shop.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'orders'";
    let root: i64 = connection.query_row(root, [], |row| row.get(0)).unwrap();
    let page_size: i64 = connection
        .query_row("PRAGMA page_size", [], |row| row.get(0))
        .unwrap();
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    connection.close().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let at = usize::try_from((root - 1) * page_size).unwrap();
    bytes[at..at + 100].fill(0xff);
    fs::write(&file, bytes).unwrap();

    let mut command = program_on(None);
    command
        .args(["doctor", "--json", "--data-dir"])
        .arg(directory.path());
    let checks = examine(&mut command, 1);
    let (status, detail) = check(&checks, "integrity");
    assert!(
        status == "error" && detail.contains("`shop restore`"),
        "{detail}"
    );
    let (status, detail) = check(&checks, "permissions");
    assert!(
        status == "warning" && detail.contains("chmod 700"),
        "{detail}"
    );
}
