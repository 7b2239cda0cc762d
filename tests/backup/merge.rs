//! Small segments of the archived WAL are merged, and every moment stays restorable.

use std::collections::BTreeSet;

use serde_json::json;
use shop::{
    core::clock::Timestamp,
    infra::{
        backup::{PARTS, Place, Replayed, archive, merge, replay},
        db::{self, WalArchiving},
    },
    worker::{backups::back_up_if_due, wal_archive::Archiver},
};

use super::{moment::wait_for, *};
use crate::support::Engine;

/// A shop that archives its WAL whenever the test says so. Its clock stands still in between.
struct Archived {
    shop: TestShop,
    directory: tempfile::TempDir,
    archiver: Archiver,
    /// When each product was added.
    moments: Vec<Timestamp>,
}

impl Archived {
    /// The WAL is restarted after about this many pages.
    async fn with_epochs_of(checkpoint_pages: i64) -> Archived {
        let directory = tempfile::tempdir().unwrap();
        let settings = [
            ("backup_url", directory.path().to_str().unwrap()),
            ("backup_wal", "on"),
            ("rate_limit", "off"),
        ];
        let storage = db::Options {
            checkpoint_pages,
            wal_archiving: WalArchiving::On,
            ..db::Options::default()
        };
        let shop = TestShop::with(Engine::Sqlite, &settings, storage)
            .await
            .unwrap();
        let mut archiver = Archiver::open(&shop.app).unwrap().unwrap();
        archiver.round().await.unwrap();
        back_up_if_due(&shop.app).await.unwrap();
        Archived {
            shop,
            directory,
            archiver,
            moments: Vec::new(),
        }
    }

    /// Adds products, each in a segment of its own.
    async fn add_products(&mut self, count: usize) {
        for _ in 0..count {
            let admin = self.shop.admin().await;
            // The commit of the sign-in has an earlier time, since it may be the last one of an epoch.
            self.shop.advance_clock(Duration::from_secs(1));
            let name = format!("Mug {}", self.moments.len());
            let body = json!({ "name": name, "price": 500, "stockQuantity": 3 });
            assert_eq!(admin.post("/products", body).await.status, 201);
            self.moments.push(self.shop.app.clock.now());
            self.archiver.round().await.unwrap();
        }
    }

    fn place(&self) -> Place {
        Place::directory(self.directory.path()).unwrap()
    }

    fn generation(&self) -> String {
        let position = self.shop.app.db.wal_archive().unwrap().position();
        position.unwrap().generation
    }

    fn folder(&self) -> PathBuf {
        self.directory.path().join("wal").join(self.generation())
    }

    fn segments(&self) -> Vec<String> {
        entries(&self.folder())
    }

    async fn merge(&self) -> usize {
        let merged = merge(&self.place(), &self.generation(), 0).await;
        merged.unwrap().parts
    }

    fn restore(&self, more: &[&str]) -> (tempfile::TempDir, Output) {
        let directory = tempfile::tempdir().unwrap();
        let mut arguments = vec!["restore", self.directory.path().to_str().unwrap()];
        arguments.extend(more);
        let output = run(directory.path(), &arguments);
        (directory, output)
    }

    /// Asserts that a restore to the moment of each product has this product and those before.
    #[track_caller]
    fn assert_restores(&self, products: &[usize]) {
        for product in products {
            let to = self.moments[*product].to_string();
            let (directory, output) = self.restore(&["--to", &to]);
            succeeds(&output);
            assert_eq!(count_products(directory.path()), product + 1, "--to {to}");
        }
    }
}

fn count_products(data_dir: &Path) -> usize {
    let count = RawDb::open(data_dir, None).number("SELECT count(*) FROM products");
    count.try_into().unwrap()
}

/// Returns the number of epochs of some segments.
fn epochs(segments: &[String]) -> usize {
    let epochs = segments.iter().map(|name| &name[..8]);
    epochs.collect::<BTreeSet<_>>().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_archiver_merges_small_segments() {
    let mut archived = Archived::with_epochs_of(16_000).await;
    archived.add_products(PARTS + 2).await;
    wait_for("the merge", || archived.segments().len() < PARTS / 2).await;
    archived.assert_restores(&[0, PARTS / 2, PARTS + 1]);
    let verify = [
        "backup",
        "verify",
        archived.directory.path().to_str().unwrap(),
    ];
    succeeds(&run(archived.directory.path(), &verify));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_can_be_interrupted_at_any_time() {
    let mut archived = Archived::with_epochs_of(320).await;
    archived.add_products(40).await;
    let folder = archived.folder();
    let parts: Vec<_> = archived
        .segments()
        .into_iter()
        .map(|name| (folder.join(&name), fs::read(folder.join(&name)).unwrap()))
        .collect();
    assert!(archived.merge().await > 20);
    let merged = archived.segments();
    assert!(epochs(&merged) > 2, "{merged:?}");
    archived.assert_restores(&[0, 13, 26, 39]);

    // The process was killed before all parts were deleted, and before some were.
    for first in [0, 9] {
        for (path, content) in parts.iter().skip(first).filter(|(path, _)| !path.exists()) {
            fs::write(path, content).unwrap();
        }
        assert!(archived.segments().len() > merged.len());
        archived.assert_restores(&[0, 13, 39]);
        archived.merge().await;
        assert_eq!(archived.segments(), merged);
    }
    archived.assert_restores(&[0, 13, 39]);
    assert_eq!(archived.merge().await, 0, "there is nothing left to do");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_merged_segment_is_reported_with_the_last_moment_before_it() {
    let mut archived = Archived::with_epochs_of(320).await;
    archived.add_products(40).await;
    archived.merge().await;
    let damaged = &archived.segments()[1];
    let path = archived.folder().join(damaged);
    fs::write(&path, flipped(fs::read(&path).unwrap())).unwrap();

    let (_, output) = archived.restore(&[]);
    let error = fails(&output);
    assert!(error.contains(damaged), "{error}");
    let (_, remedy) = error.split_once("`--to ").unwrap();
    let (time, _) = remedy.split_once('`').unwrap();
    let last = archived
        .moments
        .iter()
        .position(|moment| moment.to_string() == time);
    archived.assert_restores(&[0, last.unwrap()]);
    let next = archived.moments[last.unwrap() + 1].to_string();
    fails(&archived.restore(&["--to", &next]).1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_part_is_not_merged() {
    let mut archived = Archived::with_epochs_of(320).await;
    archived.add_products(40).await;
    let damaged = archived.segments()[2].clone();
    let path = archived.folder().join(&damaged);
    let content = fs::read(&path).unwrap();
    fs::write(&path, &content[..content.len() - 1]).unwrap();
    archived.merge().await;
    let error = fails(&archived.restore(&[]).1);
    assert!(error.contains(&damaged), "{error}");
    fs::write(&path, content).unwrap();
    archived.merge().await;
    assert!(!path.exists());
    archived.assert_restores(&[0, 39]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_are_merged_while_they_are_restored() {
    let mut archived = Archived::with_epochs_of(320).await;
    archived.add_products(40).await;
    let before = archived.segments().len();
    let names = entries(archived.directory.path());
    let name = names.iter().find(|name| name.ends_with(".tar.gz")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join(archive::DATABASE);
    let base = fs::File::open(archived.directory.path().join(name)).unwrap();
    let manifest = archive::read(base, &mut |_, name, content| {
        let mut file = fs::File::create(directory.path().join(name)).unwrap();
        std::io::copy(content, &mut file).unwrap();
        Ok(())
    });
    let base = manifest.unwrap().base.unwrap();

    let (place, generation) = (archived.place(), archived.generation());
    let runtime = tokio::runtime::Handle::current();
    let restoring = tokio::task::spawn_blocking(move || {
        // Of the listed segments only the first ones were read.
        let mut merge_once = |done: u64, _: u64| {
            if done == 0 {
                runtime.block_on(merge(&place, &generation, 0)).unwrap();
            }
        };
        replay(&place, &base, &database, None, &runtime, &mut merge_once).unwrap()
    });
    let last = *archived.moments.last().unwrap();
    assert_eq!(restoring.await.unwrap(), Replayed::To(last));
    assert!(archived.segments().len() < before);
    assert_eq!(count_products(directory.path()), 40);
}
