//! What an operator sees of scheduled backups: whether one is late, failed, or was damaged.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use shop::{infra::backup::archive, worker::backups::back_up_if_due};

use super::{check, metrics::Monitored, sample};
use crate::support::{Bucket, Engine, Process, Remote, Site, TestShop, storage_test};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Returns the check of backups, as an admin of this instance sees it.
async fn seen_by(shop: &TestShop) -> Value {
    let ready = shop.admin().await.get("/readyz").await;
    assert_eq!(ready.status, 200, "{ready:?}");
    check(&ready.json(), "backup")
}

/// Asserts that every instance reports this status and these words.
#[track_caller]
fn assert_seen(seen: &[Value], status: &str, words: &[&str]) {
    for check in seen {
        assert_eq!(check["status"], status, "{check}");
        let detail = check["detail"].as_str().unwrap();
        for word in words {
            assert!(detail.contains(word), "{word}: {detail}");
        }
    }
}

/// Returns the archives in a directory, oldest first.
fn archives(place: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(place).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "gz"));
    paths.sort();
    paths
}

/// Makes an account an admin. Returns its client.
async fn admin(site: &Site, server: &Process) -> Remote {
    let visitor = Remote::new(server);
    visitor.registered("ada").await;
    let promoted = site.run(&["admin", "user", "role", "ada@example.com", "ADMIN"]);
    assert!(promoted.status.success(), "{promoted:?}");
    visitor.signed_in("ada").await
}

/// Waits until an admin sees this status of the backups, and this word. Returns what else is seen.
async fn wait_until_seen(admin: &Remote, status: &str, word: &str) -> String {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let seen = check(&admin.readiness().await, "backup");
        let detail = seen["detail"].as_str().unwrap();
        if seen["status"] == status && detail.contains(word) {
            return detail.to_owned();
        }
        assert!(Instant::now() < deadline, "{status}, {word}: {seen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

storage_test! {
    async fn a_failing_place_and_a_late_backup_are_seen_by_every_instance(shop: TestShop) {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("place");
        fs::write(&place, "a file").unwrap();
        let url = place.to_str().unwrap();
        let settings = [("backup_url", url), ("rate_limit", "off")];
        let shop = shop.with_settings(&settings).await;
        let other = match shop.engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(shop.another_with(&settings).await),
        };
        let seen = async || {
            let mut seen = vec![seen_by(&shop).await];
            if let Some(other) = &other {
                seen.push(seen_by(other).await);
            }
            seen
        };
        let advance = |span: Duration| {
            shop.advance_clock(span);
            if let Some(other) = &other {
                other.advance_clock(span);
            }
        };
        assert_seen(&seen().await, "warning", &["none yet"]);

        back_up_if_due(&shop.app).await.unwrap_err();
        assert_seen(&seen().await, "warning", &["failed", "backup place", url]);
        fs::remove_file(&place).unwrap();
        advance(HOUR * 2);
        back_up_if_due(&shop.app).await.unwrap();
        assert_seen(&seen().await, "ok", &["newest"]);

        advance(DAY * 2);
        assert_seen(&seen().await, "ok", &["newest"]);
        advance(HOUR);
        assert_seen(&seen().await, "error", &["SHOP_BACKUP_EVERY"]);
        back_up_if_due(&shop.app).await.unwrap();
        assert_seen(&seen().await, "ok", &["newest"]);
    }

    async fn a_failed_attempt_is_over_once_the_newest_backup_was_read_back(shop: TestShop) {
        let directory = tempfile::tempdir().unwrap();
        let [place, elsewhere] = ["place", "elsewhere"].map(|name| directory.path().join(name));
        let settings = [("backup_url", place.to_str().unwrap()), ("rate_limit", "off")];
        let shop = shop.with_settings(&settings).await;
        back_up_if_due(&shop.app).await.unwrap();
        fs::rename(&place, &elsewhere).unwrap();
        fs::write(&place, "a file").unwrap();
        shop.advance_clock(HOUR * 2);
        back_up_if_due(&shop.app).await.unwrap_err();
        assert_seen(&[seen_by(&shop).await], "warning", &["failed"]);

        fs::remove_file(&place).unwrap();
        fs::rename(&elsewhere, &place).unwrap();
        let [newest] = &archives(&place)[..] else { panic!("not one archive") };
        let whole = fs::read(newest).unwrap();
        fs::write(newest, &whole[..whole.len() / 2]).unwrap();
        shop.advance_clock(HOUR * 2);
        let damaged = back_up_if_due(&shop.app).await.unwrap_err();
        assert!(damaged.detail().contains(newest.to_str().unwrap()), "{damaged:?}");
        assert_seen(&[seen_by(&shop).await], "warning", &["damaged"]);

        fs::write(newest, &whole).unwrap();
        shop.advance_clock(HOUR * 2);
        back_up_if_due(&shop.app).await.unwrap();
        assert_seen(&[seen_by(&shop).await], "ok", &["newest"]);
        assert_eq!(archives(&place).len(), 1);
    }

    async fn a_damaged_backup_is_reported_and_made_again(site: Site) {
        let bucket = Bucket::start().await;
        bucket.lose_ends(true);
        let mut variables = bucket.variables().to_vec();
        variables.extend([("SHOP_BACKUP_URL", "s3://backups"), ("SHOP_BACKUP_EVERY", "5s")]);
        let server = site.start_with(&variables);
        let admin = admin(&site, &server).await;
        let detail = wait_until_seen(&admin, "warning", "it was deleted").await;
        assert!(detail.contains("the backup is damaged"), "{detail}");

        bucket.lose_ends(false);
        wait_until_seen(&admin, "ok", "newest").await;
        let left = bucket.objects();
        assert!(!left.is_empty());
        for object in left {
            archive::read(&object[..], &mut |_, _, _| Ok(())).unwrap();
        }
    }

    async fn backups_have_metrics(site: Site) {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("place");
        fs::write(&place, "a file").unwrap();
        let url = place.to_str().unwrap();
        let name = |name: &str| format!("shop_backup_{name}");
        let value = |metrics: &str, metric: &str| sample(metrics, &name(metric), &[]);

        let server = Monitored::start_with(&site, &[("SHOP_BACKUP_URL", url)]);
        let admin = admin(&site, &server.process).await;
        wait_until_seen(&admin, "warning", "failed").await;
        let metrics = server.scrape().await;
        assert_eq!(value(&metrics, "failed"), Some(1.0), "{metrics}");
        assert!(value(&metrics, "failures_total") >= Some(1.0), "{metrics}");
        assert_eq!(value(&metrics, "newest_timestamp_seconds"), Some(0.0));
        assert_eq!(value(&metrics, "interval_seconds"), Some(86400.0));
        server.stop();

        fs::remove_file(&place).unwrap();
        // The default would make the next attempt an hour after the last one.
        let variables = [("SHOP_BACKUP_URL", url), ("SHOP_BACKUP_EVERY", "5s")];
        let server = Monitored::start_with(&site, &variables);
        wait_until_seen(&admin.at(&server.process), "ok", "newest").await;
        server.stop();

        // A server that made none knows it, too.
        let server = Monitored::start_with(&site, &[("SHOP_BACKUP_URL", url)]);
        wait_until_seen(&admin.at(&server.process), "ok", "newest").await;
        let metrics = server.scrape().await;
        assert_eq!(value(&metrics, "failed"), Some(0.0), "{metrics}");
        assert_eq!(value(&metrics, "failures_total"), Some(0.0), "{metrics}");
        assert!(value(&metrics, "newest_timestamp_seconds") > Some(1.7e9), "{metrics}");
    }
}
