//! Scheduled backups: when they are due, which are kept, and who learns of a failure.

use std::{fs::File, time::SystemTime};

use shop::worker::backups::back_up_if_due;

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Returns a shop on the same engine that keeps two backups in this place.
async fn scheduled(shop: &TestShop, place: &Path) -> TestShop {
    let place = place.to_str().unwrap();
    let settings = [
        ("backup_url", place),
        ("backup_keep", "2"),
        ("rate_limit", "off"),
    ];
    shop.with_settings(&settings).await
}

/// Returns the names of the archives in a place, oldest first.
fn archives(place: &Path) -> Vec<String> {
    let mut names = entries(place);
    names.retain(|name| name.ends_with(".tar.gz"));
    names
}

storage_test! {
    async fn backups_are_made_when_they_are_due_and_the_oldest_are_deleted(shop: TestShop) {
        let place = tempfile::tempdir().unwrap();
        let shop = scheduled(&shop, place.path()).await;
        shop.fill().await;
        assert_eq!(back_up_if_due(&shop.app).await.unwrap(), HOUR);
        let first = archives(place.path());
        assert_eq!(first.len(), 1);
        shop.advance_clock(DAY.saturating_sub(Duration::from_mins(10)));
        let wait = back_up_if_due(&shop.app).await.unwrap();
        assert_eq!((archives(place.path()), wait), (first.clone(), Duration::from_mins(10)));
        shop.advance_clock(wait);
        back_up_if_due(&shop.app).await.unwrap();
        assert_eq!(archives(place.path()).len(), 2);

        // The product with the image is deleted, and the last backup that has it.
        let images = place.path().join("images");
        let image = images.join(&entries(&images)[0]);
        File::open(&image).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        shop.raw_db().run("DELETE FROM product_images");
        for _ in 0..2 {
            assert!(image.exists());
            shop.advance_clock(DAY);
            back_up_if_due(&shop.app).await.unwrap();
        }
        let kept = archives(place.path());
        assert!(kept.len() == 2 && !kept.contains(&first[0]), "{kept:?}");
        assert!(!image.exists());
    }

    async fn admins_are_told_of_a_failed_backup_once_a_day(shop: TestShop) {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("place");
        fs::write(&place, "a file").unwrap();
        let shop = scheduled(&shop, &place).await;
        shop.admin().await;
        shop.customer("ada").await;
        let emails = "SELECT count(*) FROM outbox WHERE template = 'backup-failed'
                      AND recipient = 'admin@example.com'";
        let all_emails = "SELECT count(*) FROM outbox WHERE template = 'backup-failed'";
        for (hours, expected) in [(0, 1), (2, 1), (23, 2)] {
            shop.advance_clock(HOUR * hours);
            let failed = back_up_if_due(&shop.app).await.unwrap_err();
            assert!(failed.detail().contains("backup place"), "{failed:?}");
            let counts = [emails, all_emails].map(|sql| shop.raw_db().number(sql));
            assert_eq!(counts, [expected, expected]);
        }
        fs::remove_file(&place).unwrap();
        shop.advance_clock(HOUR * 2);
        back_up_if_due(&shop.app).await.unwrap();
        assert_eq!(archives(&place).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_instance_makes_the_backup() {
    let Some(shop) = TestShop::on(crate::support::Engine::Postgres).await else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let url = place.path().to_str().unwrap();
    let settings = [("backup_url", url), ("rate_limit", "off")];
    let shop = shop.with_settings(&settings).await;
    shop.fill().await;
    let other = shop.another_with(&settings).await;
    let both = tokio::join!(back_up_if_due(&shop.app), back_up_if_due(&other.app));
    assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
    assert_eq!(archives(place.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_makes_a_backup_at_its_start() {
    let data = crate::support::new_shop();
    let place = tempfile::tempdir().unwrap();
    let mut server = crate::support::program_on(None);
    server.env("SHOP_BACKUP_URL", place.path());
    let server = crate::support::Process::start_with(server, data.path());
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while archives(place.path()).is_empty() {
        assert!(std::time::Instant::now() < deadline, "no backup was made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.terminate();
    assert!(server.wait().success());
}
