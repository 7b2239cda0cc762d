//! Upgrades of a shop that an earlier version has left: its rows are kept, and a backup is the way back.

mod history;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
    time::Duration,
};

use shop::{
    core::rng::Rng,
    infra::{
        backup::{Manifest, archive},
        db::migrate,
    },
    worker::backups::back_up_if_due,
};

use self::history::{kept, live_through, previous};
use crate::support::{
    Process, TestShop, ends, postgres_test, run, serve, sqlite_test, storage_test,
};

/// Returns stderr, and asserts that the command succeeded.
#[track_caller]
fn succeeds(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    errors
}

/// Returns stderr, and asserts that the command failed with exit code 1.
#[track_caller]
fn fails(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    errors
}

/// Returns the archives in a place, oldest first.
fn archives(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "gz"))
        .collect();
    paths.sort();
    paths
}

fn manifest(archive: &Path) -> Manifest {
    archive::read_manifest(File::open(archive).unwrap()).unwrap()
}

/// Asserts that an open shop has these rows, and that `shop verify` finds nothing.
async fn assert_sound(shop: &TestShop, version: u32, rows: &[(&str, Vec<String>)]) {
    assert_eq!(kept(&shop.raw_db(), version), rows, "V{version}");
    shop.raw_db().assert_invariants();
    succeeds(&shop.run(&["verify"]));
    let found = shop.anonymous().get("/products?q=kettle").await;
    assert_eq!(
        found.number("/total"),
        i64::from(version >= 2),
        "V{version}"
    );
}

storage_test! {
    async fn every_version_of_the_schema_is_migrated_with_its_rows_after_a_backup(earlier: EarlierShop) {
        for version in 1..migrate::latest_version() {
            let earlier = earlier.another().await;
            live_through(&earlier, version);
            let rows = kept(&earlier.raw_db(), version);
            let said = succeeds(&earlier.run(&["migrate"]));
            let [archive] = &archives(&earlier.path().join("backups"))[..] else {
                panic!("V{version}: {said}");
            };
            assert!(said.contains(archive.to_str().unwrap()), "V{version}: {said}");
            let manifest = manifest(archive);
            assert_eq!(manifest.schema, i64::from(version));
            assert_eq!(manifest.images.names.len(), usize::from(version >= 2), "V{version}");

            let restored = tempfile::tempdir().unwrap();
            succeeds(&run(restored.path(), &["restore", archive.to_str().unwrap()]));
            let restored = TestShop::on_data(Arc::new(restored), None).await;
            assert_sound(&restored, version, &rows).await;
            assert_sound(&earlier.upgraded().await, version, &rows).await;
        }
    }

    async fn a_server_makes_one_backup_before_it_migrates(earlier: EarlierShop) {
        live_through(&earlier, previous());
        let place = earlier.path().join("backups");
        for _ in 0..2 {
            let server = Process::listening(serve(earlier.program(), earlier.path(), &[]));
            server.terminate();
            assert!(server.wait().success());
            assert_eq!(archives(&place).len(), 1, "the second start has nothing to migrate");
        }
        assert_eq!(earlier.version(), migrate::latest_version());
    }

    async fn a_shop_is_not_migrated_if_its_backup_fails(earlier: EarlierShop) {
        live_through(&earlier, previous());
        let place = earlier.path().join("place");
        fs::write(&place, "a file").unwrap();
        let program = |arguments: &[&str]| {
            let mut command = earlier.program();
            command.args(arguments).arg("--data-dir").arg(earlier.path());
            command.env("SHOP_BACKUP_URL", &place);
            ends(command)
        };
        for command in [&["migrate"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let error = fails(&program(command));
            let stays = format!("stays V{}", previous());
            for word in ["backup place", &stays, "`--no-backup`"] {
                assert!(error.contains(word), "{command:?}: {word}: {error}");
            }
            assert_eq!(earlier.version(), previous(), "{command:?}");
        }
        succeeds(&program(&["migrate", "--no-backup"]));
        assert_eq!(earlier.version(), migrate::latest_version());
        assert_eq!(fs::read(&place).unwrap(), b"a file");
    }

    async fn an_upgrade_that_fails_again_and_again_keeps_one_backup(earlier: EarlierShop) {
        live_through(&earlier, 24);
        let rows = kept(&earlier.raw_db(), 24);
        // A table that the next migration creates.
        earlier.raw_db().run("CREATE TABLE audit (id INTEGER)");
        let mut last = None;
        for _ in 0..3 {
            let error = fails(&earlier.run(&["migrate"]));
            assert!(error.contains("cannot migrate the database"), "{error}");
            let [archive] = &archives(&earlier.path().join("backups"))[..] else {
                panic!("{error}");
            };
            assert_ne!(last.replace(archive.clone()).as_ref(), Some(archive), "the newest is kept");
        }
        assert_eq!((earlier.version(), kept(&earlier.raw_db(), 24)), (24, rows));
        earlier.raw_db().run("DROP TABLE audit");
        succeeds(&earlier.run(&["migrate", "--no-backup"]));
    }

    async fn a_killed_upgrade_leaves_the_old_or_the_new_schema(earlier: EarlierShop) {
        live_through(&earlier, 10);
        let rows = kept(&earlier.raw_db(), 10);
        let rng = Rng::seeded(5);
        for _ in 0..12 {
            let mut command = earlier.program();
            command.args(["migrate", "--data-dir"]).arg(earlier.path());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(Duration::from_millis(rng.below(250)));
            child.kill().unwrap();
            child.wait().unwrap();
            let found = earlier.version();
            assert!(found == 10 || found == migrate::latest_version(), "V{found}");
            assert_eq!(kept(&earlier.raw_db(), 10), rows, "V{found}");
        }
        // What a killed backup has left is not taken for one.
        for archive in archives(&earlier.path().join("backups")) {
            assert_eq!(manifest(&archive).schema, 10);
        }
        succeeds(&earlier.run(&["migrate"]));
        assert_sound(&earlier.upgraded().await, 10, &rows).await;
    }

    async fn the_backup_before_the_last_upgrade_outlives_later_ones(earlier: EarlierShop) {
        live_through(&earlier, previous());
        succeeds(&earlier.run(&["migrate"]));
        let place = earlier.path().join("backups");
        let [made] = &archives(&place)[..] else { panic!() };
        // The clock of the shop is behind that of the command.
        let way_back = place.join("shop-20260101T000000.000Z.tar.gz");
        fs::rename(made, &way_back).unwrap();
        let settings = [("backup_url", place.to_str().unwrap()), ("backup_keep", "1")];
        let shop = earlier.upgraded().await.restarted_with(&settings).await;
        for _ in 0..3 {
            shop.advance_clock(Duration::from_hours(24));
            back_up_if_due(&shop.app).await.unwrap();
        }
        let kept = archives(&place);
        assert_eq!((kept.len(), &kept[0]), (2, &way_back));
    }
}

postgres_test! {
    async fn one_of_several_instances_makes_the_backup(earlier: EarlierShop) {
        live_through(&earlier, previous());
        let place = tempfile::tempdir().unwrap();
        let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let starts = directories.each_ref().map(|directory| {
            let mut command = earlier.program();
            // Instances share their images.
            std::os::unix::fs::symlink(earlier.path().join("images"), directory.path().join("images")).unwrap();
            command.env("SHOP_BACKUP_URL", place.path());
            serve(command, directory.path(), &[])
        });
        let servers: Vec<Process> = std::thread::scope(|scope| {
            let starts = starts.map(|start| scope.spawn(|| Process::listening(start)));
            starts.map(|start| start.join().unwrap()).into()
        });
        let archives = archives(place.path());
        assert_eq!(archives.len(), 1, "{archives:?}");
        assert_eq!(manifest(&archives[0]).schema, i64::from(previous()));
        drop(servers);
    }
}

sqlite_test! {
    async fn a_new_shop_makes_no_backup(earlier: EarlierShop) {
        let server = Process::start(earlier.path());
        server.terminate();
        assert!(server.wait().success());
        assert!(!earlier.path().join("backups").exists());
    }
}
