//! The data directory: invalid ones, and the permissions of its keys.

use std::os::unix::fs::PermissionsExt;

use super::{
    configuration::{LIST, config_file, output, shop, shop_with},
    shop_not_found::files_in,
    *,
};
use crate::support::{RawDb, ends, with_own_mounts};

#[test]
fn a_data_directory_cannot_redirect_to_another() {
    let here = tempfile::tempdir().unwrap();
    let error = usage_failure_of(&output(&mut shop_with(
        here.path(),
        "data_dir = \"other\"",
        &LIST,
    )));
    assert!(
        error.contains("`data_dir`") && error.contains("--data-dir"),
        "{error}"
    );
    assert!(!here.path().join("other").exists());
}

#[test]
fn a_data_directory_with_a_tilde_is_refused() {
    let here = tempfile::tempdir().unwrap();
    // A configuration file in the current directory, which must not be read.
    config_file(here.path(), "colour = \"red\"");
    for place in ["", "~", "~/shop"] {
        for arguments in [
            &LIST[..],
            &["serve", "--listen", "127.0.0.1:0"],
            &["config"],
        ] {
            let mut command = shop(here.path(), arguments);
            let error = usage_failure_of(&output(command.args(["--data-dir", place])));
            assert!(error.contains("`data_dir`"), "{place}: {error}");
            let mut command = shop(here.path(), arguments);
            let error = usage_failure_of(&output(command.env("SHOP_DATA_DIR", place)));
            assert!(error.contains("`data_dir`"), "{place}: {error}");
        }
    }
    let left: Vec<_> = fs::read_dir(here.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing was created");
}

#[test]
fn an_unusable_data_directory_is_named() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("file"), "").unwrap();
    for place in ["file", "file/below"] {
        let error = failure_of(&output(
            shop(here.path(), &LIST).args(["--data-dir", place]),
        ));
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn a_file_that_is_not_a_database_is_refused_and_unchanged() {
    let here = tempfile::tempdir().unwrap();
    let database = here.path().join("shop-data/shop.db");
    fs::create_dir(here.path().join("shop-data")).unwrap();
    fs::write(
        &database,
        "Dear diary, this is no database at all.\n".repeat(500),
    )
    .unwrap();
    let before = fs::read(&database).unwrap();
    let error = failure_of(&output(&mut shop(here.path(), &LIST)));
    assert!(error.contains("shop.db"), "{error}");
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn a_damaged_database_is_refused_and_unchanged() {
    const PAGE: usize = 4096;
    let here = tempfile::tempdir().unwrap();
    create_shop(&here.path().join("shop-data"));
    let database = here.path().join("shop-data/shop.db");
    let intact = fs::read(&database).unwrap();
    assert!(intact.len() > 2 * PAGE);
    let noise = |bytes: &[u8]| vec![0xa5; bytes.len()];
    for (damage, bytes) in [
        (
            "header",
            [&noise(&intact[..100])[..], &intact[100..]].concat(),
        ),
        (
            "schema page",
            [&intact[..100], &noise(&intact[100..PAGE]), &intact[PAGE..]].concat(),
        ),
        (
            "other pages",
            [&intact[..PAGE], &noise(&intact[PAGE..])].concat(),
        ),
        ("half of the file", intact[..intact.len() / 2].to_vec()),
        ("last page", intact[..intact.len() - PAGE].to_vec()),
        ("part of a page", intact[..intact.len() - 100].to_vec()),
        ("one byte", intact[..intact.len() - 1].to_vec()),
    ] {
        fs::write(&database, &bytes).unwrap();
        for arguments in [
            &LIST[..],
            &["serve", "--listen", "127.0.0.1:0"],
            &["verify"],
        ] {
            let error = failure_of(&ends(shop(here.path(), arguments)));
            for word in ["shop.db", "damaged", "restore"] {
                assert!(error.contains(word), "{damage}: {arguments:?}: {error}");
            }
        }
        assert!(fs::read(&database).unwrap() == bytes, "{damage}: changed");
    }
}

#[test]
fn a_damaged_list_of_migrations_is_refused_with_the_restore_command() {
    for damage in [
        "DELETE FROM refinery_schema_history",
        "DELETE FROM refinery_schema_history WHERE version = 3",
        "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2",
        "UPDATE refinery_schema_history SET checksum = 'none' WHERE version = 2",
        "UPDATE refinery_schema_history SET applied_on = 'long ago' WHERE version = 2",
        "UPDATE refinery_schema_history SET version = 'two' WHERE version = 2",
        "ALTER TABLE refinery_schema_history RENAME COLUMN version TO number",
        "DROP TABLE refinery_schema_history",
    ] {
        let here = tempfile::tempdir().unwrap();
        let data_dir = here.path().join("shop-data");
        create_shop(&data_dir);
        RawDb::open(&data_dir, None).run(damage);
        let before = fs::read(data_dir.join("shop.db")).unwrap();
        for arguments in [&LIST[..], &["serve", "--listen", "127.0.0.1:0"]] {
            let error = failure_of(&ends(shop(here.path(), arguments)));
            for word in ["shop.db", "damaged", "`shop restore`"] {
                assert!(error.contains(word), "{damage}: {arguments:?}: {error}");
            }
        }
        let after = fs::read(data_dir.join("shop.db")).unwrap();
        assert!(after == before, "{damage}: changed");
    }
}

#[test]
fn a_start_that_was_killed_before_its_first_migration_is_repeated() {
    let here = tempfile::tempdir().unwrap();
    let data_dir = here.path().join("shop-data");
    create_shop(&data_dir);
    let raw = RawDb::open(&data_dir, None);
    let history = "SELECT sql FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    let history = raw.rows(history).concat().remove(0).unwrap();
    drop(raw);
    fs::write(data_dir.join("shop.db"), "").unwrap();
    RawDb::open(&data_dir, None).run(&history);
    drop(Process::start(&data_dir));
    stdout_of(&output(&mut shop(here.path(), &LIST)));
}

/// Runs a command while `path` is mounted read-only, or returns `None` if this system forbids such a mount.
fn output_on_read_only_mount(path: &Path, command: &Command) -> Option<Output> {
    let script = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#;
    let mut mounted = with_own_mounts(script)?;
    mounted
        .arg(path)
        .arg(command.get_program())
        .args(command.get_args());
    mounted.current_dir(command.get_current_dir().unwrap());
    Some(ends(mounted))
}

#[test]
fn a_read_only_mount_is_reported_with_its_path_and_the_user() {
    let here = tempfile::tempdir().unwrap();
    let data_dir = here.path().join("shop-data");
    create_shop(&data_dir);
    let before = files_in(&data_dir);
    for read_only in ["shop-data", "shop-data/shop.db"] {
        for arguments in [&LIST[..], &["serve", "--listen", "127.0.0.1:0"]] {
            let command = shop(here.path(), arguments);
            let path = here.path().join(read_only);
            let Some(output) = output_on_read_only_mount(&path, &command) else {
                return;
            };
            let error = failure_of(&output);
            for word in [
                read_only,
                "Read-only file system",
                "the user root cannot",
                "mount it",
            ] {
                assert!(error.contains(word), "{arguments:?}: {error}");
            }
        }
        assert_eq!(files_in(&data_dir), before, "{read_only}");
    }
}

#[test]
fn keys_are_readable_only_by_the_owner() {
    let here = tempfile::tempdir().unwrap();
    create_shop(&here.path().join("shop-data"));
    stdout_of(&output(&mut shop(here.path(), &LIST)));
    let keys = here.path().join("shop-data/keys");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys), 0o700);
    let secrets = |keys: &Path| -> Vec<(String, String)> {
        let mut found: Vec<_> = fs::read_dir(keys)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read_to_string(&path).unwrap())
            })
            .collect();
        found.sort();
        found
    };
    let created = secrets(&keys);
    let names: Vec<&str> = created.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["jwt_secret", "razorpay_webhook_secret"]);
    assert!(
        created.iter().all(|(_, secret)| secret.trim().len() >= 64),
        "256 bits each"
    );
    assert_ne!(created[0].1, created[1].1);
    stdout_of(&output(&mut shop(here.path(), &LIST)));
    assert_eq!(secrets(&keys), created, "not created again");
}
