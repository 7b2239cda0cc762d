//! `shop backup` and `shop restore`: a backup holds everything but the keys, and a restore places all of it or nothing.

mod damaged;
mod load;
mod merge;
mod moment;
mod place;
mod replace;
mod schedule;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
    time::Duration,
};

use crate::{
    support::{Database, RawDb, TestShop, run, run_on, storage_test},
    transfer::{Answers, Tokens, assert_same},
};

/// By how much a restore raises the sequence numbers of events.
const SEQUENCE_JUMP: i64 = 1 << 32;

/// Returns stderr, and asserts that the command succeeded.
#[track_caller]
fn succeeds(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    errors
}

/// Returns the error, and asserts that the command failed with exit code 1.
#[track_caller]
fn fails(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let error = errors.lines().last().unwrap_or_default();
    assert!(error.starts_with("error: "), "{errors}");
    error.to_owned()
}

/// The data of a shop that no process has open.
struct Closed {
    directory: Arc<tempfile::TempDir>,
    database: Option<Arc<Database>>,
}

impl Closed {
    async fn of(shop: TestShop) -> Closed {
        shop.app.stopping.cancel();
        shop.app.db.close().await;
        let closed = Closed {
            directory: Arc::clone(&shop.directory),
            database: shop.database.clone(),
        };
        let app = Arc::downgrade(&shop.app);
        drop(shop);
        // Its tasks end, and close their connections.
        for _ in 0..1000 {
            if app.strong_count() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        closed
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run_on(self.path(), self.database.as_deref(), arguments)
    }

    fn raw_db(&self) -> RawDb {
        RawDb::open(self.path(), self.database.as_deref())
    }

    async fn open(self) -> TestShop {
        TestShop::on_data(self.directory, self.database).await
    }
}

/// A backup of a shop in a file, and its keys in another.
struct Backup {
    directory: tempfile::TempDir,
}

impl Backup {
    /// Backs up a shop, which may be open.
    fn of(shop: &TestShop) -> Backup {
        let backup = Backup {
            directory: tempfile::tempdir().unwrap(),
        };
        succeeds(&shop.run(&["backup", &backup.file()]));
        succeeds(&shop.run(&["backup", "keys", &backup.keys()]));
        backup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self) -> String {
        self.path("shop.tar.gz").to_str().unwrap().to_owned()
    }

    fn keys(&self) -> String {
        self.path("keys.toml").to_str().unwrap().to_owned()
    }

    /// Returns the decompressed archive.
    fn content(&self) -> Vec<u8> {
        let file = fs::File::open(self.file()).unwrap();
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut content)
            .unwrap();
        content
    }
}

/// Restores a backup with its keys into a new data directory or database, opens it, and asserts that the responses are
/// those of `before`.
async fn assert_restored(
    shop: &TestShop,
    backup: &Backup,
    into: Option<Arc<Database>>,
    tokens: &Tokens,
    before: &Answers,
) {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let arguments = ["restore", &backup.file(), "--keys", &backup.keys()];
    succeeds(&run_on(directory.path(), into.as_deref(), &arguments));
    let verified = run_on(directory.path(), into.as_deref(), &["verify"]);
    succeeds(&verified);
    let raw = RawDb::open(directory.path(), into.as_deref());
    raw.assert_invariants();
    let seqs = raw.numbers("SELECT seq FROM events");
    assert!(seqs.len() == 1 && seqs[0] > SEQUENCE_JUMP, "{seqs:?}");
    let restored = TestShop::transferred(shop, directory, into).await;
    assert_same(
        &without_positions(restored.all_responses(tokens).await),
        before,
    );
}

/// Removes the position of the live inventory, which a restore raises.
fn without_positions(answers: Answers) -> Answers {
    let without = |headers: String| {
        let (tag, _) = headers.rsplit_once(' ').unwrap();
        tag.to_owned()
    };
    answers
        .into_iter()
        .map(|(path, (status, headers, body))| (path, (status, without(headers), body)))
        .collect()
}

storage_test! {
    async fn a_restored_shop_gives_the_same_responses_on_both_engines(shop: TestShop) {
        let tokens = shop.fill().await;
        let before = without_positions(shop.all_responses(&tokens).await);
        let backup = Backup::of(&shop);
        assert_restored(&shop, &backup, None, &tokens, &before).await;
        if let Some(database) = Database::empty() {
            assert_restored(&shop, &backup, Some(Arc::new(database)), &tokens, &before).await;
        }
    }

    async fn a_backup_contains_no_keys(shop: TestShop) {
        shop.fill().await;
        // A key that was in the database once, e.g. before a transfer.
        shop.raw_db().run("INSERT INTO settings (name, value) VALUES ('razorpay_webhook_secret_', 'once-a-key')");
        shop.raw_db().run("DELETE FROM settings WHERE name = 'razorpay_webhook_secret_'");
        let backup = Backup::of(&shop);
        let keys = fs::read_to_string(backup.keys()).unwrap();
        let secrets: Vec<&str> = keys
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(_, value)| value.trim_matches('"'))
            .collect();
        assert_eq!(secrets.len(), 2, "{keys}");
        let content = backup.content();
        for secret in secrets.into_iter().chain(["once-a-key"]) {
            let found = content.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
            assert!(!found, "{secret}");
        }
    }

    async fn a_restore_without_the_keys_says_what_ends(shop: TestShop) {
        let tokens = shop.fill().await;
        let backup = Backup::of(&shop);
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let said = succeeds(&run(directory.path(), &["restore", &backup.file()]));
        for word in ["jwt_secret", "access tokens end", "razorpay_webhook_secret", "--keys"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        let restored = TestShop::transferred(&shop, directory, None).await;
        assert_eq!(restored.bearer(&tokens.ada).get("/cart").await.status, 401);
    }

    async fn clients_of_the_live_inventory_read_the_stock_again_after_a_restore(shop: TestShop) {
        shop.fill().await;
        let head = shop.raw_db().number("SELECT count(*) FROM events");
        let backup = Backup::of(&shop);
        let directory = Arc::new(tempfile::tempdir().unwrap());
        succeeds(&run(directory.path(), &["restore", &backup.file()]));
        let restored = TestShop::transferred(&shop, directory, None).await;
        let served = crate::support::live::Served::start(&restored).await;
        let (_listener, first) = served.listen(&format!("?since={head}")).await;
        assert_eq!(first["type"], "RESYNC", "{first}");
        served.stopped().await;
    }

    async fn a_backup_is_verified_without_a_shop(shop: TestShop) {
        shop.fill().await;
        let backup = Backup::of(&shop);
        let elsewhere = backup.path("elsewhere");
        let verified = run(&elsewhere, &["backup", "verify", &backup.file()]);
        succeeds(&verified);
        let verified = String::from_utf8(verified.stdout).unwrap();
        assert!(verified.contains("checks passed"), "{verified}");
        assert!(!elsewhere.exists(), "nothing is created");
    }

    async fn a_backup_is_private_and_never_overwritten(shop: TestShop) {
        use std::os::unix::fs::PermissionsExt;
        let backup = Backup::of(&shop);
        for file in [backup.file(), backup.keys()] {
            let mode = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        let before = fs::read(backup.file()).unwrap();
        for arguments in [&["backup", &backup.file()][..], &["backup", "keys", &backup.keys()]] {
            let refused = fails(&shop.run(arguments));
            assert!(refused.contains("exists already"), "{refused}");
        }
        assert_eq!(fs::read(backup.file()).unwrap(), before);
        assert_eq!(entries(backup.directory.path()), ["keys.toml", "shop.tar.gz"]);
        assert!(temporary(shop.directory.path()).is_empty());
    }
}

#[test]
fn a_mistyped_command_makes_no_backup() {
    let shop = crate::support::new_shop();
    for arguments in [
        &["backup", "lst"][..],
        &["backup", "shop.tar.gz", "list"],
        &["backup", "/"],
    ] {
        let refused = run(shop.path(), arguments);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {why}");
        assert!(why.contains("shop backup --help"), "{why}");
    }
    let nowhere = shop.path().join("nowhere/shop.tar.gz");
    let why = fails(&run(shop.path(), &["backup", nowhere.to_str().unwrap()]));
    assert!(why.contains("/nowhere` does not exist"), "{why}");
    let mut command = crate::support::program_on(None);
    command.arg("backup").arg("--data-dir").arg(shop.path());
    let listed = command.arg("list").output().unwrap();
    succeeds(&listed);
    assert!(
        String::from_utf8(listed.stdout)
            .unwrap()
            .contains("created")
    );
}

/// Changes a bit in the middle of the content of a file.
fn flipped(mut content: Vec<u8>) -> Vec<u8> {
    let middle = content.len() / 2;
    content[middle] ^= 1;
    content
}

/// Returns the sorted names of a directory's entries.
fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns the temporary directories that a backup or a restore has left in a data directory.
fn temporary(data_dir: &Path) -> Vec<String> {
    let mut names = entries(data_dir);
    names.retain(|name| name.starts_with('.'));
    names
}
