//! Point in time: with an archived WAL, a restore reaches every commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Instant,
};

use serde_json::json;

use shop::{
    core::clock::{Clock, Timestamp},
    infra::{
        backup::archive,
        db::{
            self, WalArchiving,
            sqlite::wal::{Header, Position},
        },
    },
    worker::{backups::back_up_if_due, wal_archive},
};

use super::*;
use crate::support::{Engine, Process, Remote, add_product, new_shop, program_on};

/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The number of kills; more in the nightly run.
const KILLS: &str = "SHOP_TEST_ARCHIVE_KILLS";

/// The acknowledged orders by id in hexadecimal.
type Acknowledged = Arc<Mutex<BTreeMap<String, Times>>>;

/// When an order was sent, and when its response arrived.
#[derive(Clone, Copy)]
struct Times {
    sent: Timestamp,
    acknowledged: Timestamp,
}

/// A shop whose WAL is archived in a directory.
struct Archived {
    data: tempfile::TempDir,
    place: tempfile::TempDir,
    product: String,
}

impl Archived {
    fn new() -> Archived {
        let data = new_shop();
        let product = add_product(
            |arguments| run(data.path(), arguments),
            "Kettle",
            129_900,
            1_000_000,
        );
        Archived {
            data,
            place: tempfile::tempdir().unwrap(),
            product,
        }
    }

    /// Starts a server, and waits until the WAL archive has a base backup.
    async fn start(&self) -> Process {
        let mut server = program_on(None);
        server
            .env("SHOP_BACKUP_URL", self.place())
            .env("SHOP_BACKUP_WAL", "on");
        let process = Process::start_with(server, self.data.path());
        wait_for("a base backup of the generation", || {
            self.generation().is_some()
        })
        .await;
        process
    }

    /// Returns the generation that follows the current WAL, once it has a base backup and a segment.
    fn generation(&self) -> Option<String> {
        let position = fs::read(self.data.path().join("shop.db-archive/position.json")).ok()?;
        let position: Position = serde_json::from_slice(&position).ok()?;
        let wal = fs::read(self.data.path().join("shop.db-wal")).ok()?;
        let is_current = Header::parse(&wal).is_some_and(|wal| wal == position.header);
        let place = self.place.path();
        let is_base = |name: &String| {
            let archive = fs::File::open(place.join(name)).ok();
            let manifest = archive.and_then(|archive| archive::read_manifest(archive).ok());
            let base = manifest.and_then(|manifest| manifest.base);
            base.is_some_and(|base| base.generation == position.generation)
        };
        let is_complete = is_current
            && place.join("wal").join(&position.generation).is_dir()
            && entries(place).iter().any(is_base);
        is_complete.then_some(position.generation)
    }

    fn place(&self) -> &str {
        self.place.path().to_str().unwrap()
    }

    /// Runs a command that knows the place.
    fn shop(&self, arguments: &[&str]) -> Output {
        let mut command = program_on(None);
        command.env("SHOP_BACKUP_URL", self.place());
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data.path());
        command.output().unwrap()
    }

    /// Restores into a new directory and returns the result of the command.
    fn restore(&self, more: &[&str]) -> (tempfile::TempDir, Output) {
        let directory = tempfile::tempdir().unwrap();
        let mut arguments = vec!["restore", self.place()];
        arguments.extend(more);
        let output = run(&directory.path().join("shop"), &arguments);
        (directory, output)
    }

    /// Restores a moment. Returns the ids of the orders; `shop verify` finds nothing.
    fn orders_at(&self, more: &[&str]) -> Vec<String> {
        let (directory, output) = self.restore(more);
        succeeds(&output);
        let shop = directory.path().join("shop");
        succeeds(&run(&shop, &["verify"]));
        let raw = RawDb::open(&shop, None);
        let ids = raw.rows("SELECT lower(hex(id)) FROM orders ORDER BY id");
        ids.into_iter()
            .filter_map(|mut row| row.remove(0))
            .collect()
    }

    /// Counts the orders of the shop, without closing its WAL.
    fn count_orders(&self) -> usize {
        let database = rusqlite::Connection::open(self.data.path().join("shop.db")).unwrap();
        let keep_wal = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        database.set_db_config(keep_wal, true).unwrap();
        let count = "SELECT count(*) FROM orders";
        let count: i64 = database.query_row(count, [], |row| row.get(0)).unwrap();
        count.try_into().unwrap()
    }

    /// Returns the segments of the WAL, in order.
    fn segments(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for generation in entries(&self.place.path().join("wal")) {
            let folder = self.place.path().join("wal").join(generation);
            let mut names = entries(&folder);
            names.sort();
            found.extend(names.into_iter().map(|name| folder.join(name)));
        }
        found
    }
}

pub(super) async fn wait_for(what: &str, mut is_done: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_done() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}

/// Places one order. Returns its id in hexadecimal, unless the server was killed.
async fn order(customer: &Remote, product: &str, key: &str) -> Option<String> {
    let body = json!({ "productId": product });
    let added = customer.try_post("/cart", &body).await.ok()?;
    assert_eq!(added.status, 200, "{added:?}");
    let placed = customer.check_out_once(key).await.ok()?;
    assert_eq!(placed.status, 201, "{placed:?}");
    Some(placed.text("/id").replace('-', ""))
}

/// Places orders until the server is killed.
async fn place_orders(
    customer: Remote,
    product: String,
    acknowledged: Acknowledged,
    keys: &'static str,
) {
    for turn in 0.. {
        let sent = now();
        let Some(id) = order(&customer, &product, &format!("{keys}-{turn}")).await else {
            return;
        };
        let times = Times {
            sent,
            acknowledged: now(),
        };
        acknowledged.lock().unwrap().insert(id, times);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_reaches_the_moment_before_a_mistake() {
    let shop = Archived::new();
    let process = shop.start().await;
    let customer = Remote::new(&process).registered("ada").await;
    let mut orders = Vec::new();
    for turn in 0..6 {
        orders.push(
            order(&customer, &shop.product, &format!("key-{turn}"))
                .await
                .unwrap(),
        );
    }
    let half = now();
    // Commits have times in milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    for turn in 6..12 {
        orders.push(
            order(&customer, &shop.product, &format!("key-{turn}"))
                .await
                .unwrap(),
        );
    }
    let before = now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    succeeds(&shop.shop(&["admin", "product", "delete", &shop.product]));
    process.terminate();
    assert!(process.wait().success());
    // The disk is lost.
    fs::remove_dir_all(shop.data.path()).unwrap();

    assert_eq!(shop.orders_at(&["--to", &half.to_string()]), orders[..6]);
    let (directory, output) = shop.restore(&["--to", &before.to_string()]);
    succeeds(&output);
    let restored = RawDb::open(&directory.path().join("shop"), None);
    assert_eq!(restored.number("SELECT count(*) FROM orders"), 12);
    assert_eq!(
        restored.number("SELECT count(*) FROM products WHERE deleted_at IS NULL"),
        1
    );
    // Without a time, everything is restored, the mistake included.
    let (directory, output) = shop.restore(&[]);
    succeeds(&output);
    let restored = RawDb::open(&directory.path().join("shop"), None);
    assert_eq!(restored.number("SELECT count(*) FROM orders"), 12);
    assert_eq!(
        restored.number("SELECT count(*) FROM products WHERE deleted_at IS NULL"),
        0
    );
    succeeds(&run(directory.path(), &["backup", "verify", shop.place()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_kill_the_archive_has_every_order_up_to_some_moment() {
    let kills: usize = std::env::var(KILLS).map_or(3, |text| text.parse().unwrap());
    let shop = Archived::new();
    let mut all = 0;
    for round in 0..kills {
        let process = shop.start().await;
        let acknowledged = Acknowledged::default();
        let mut customers = Vec::new();
        for name in ["ada", "bob"] {
            let customer = Remote::new(&process)
                .registered(&format!("{name}{round}"))
                .await;
            let work = place_orders(
                customer,
                shop.product.clone(),
                Arc::clone(&acknowledged),
                name,
            );
            customers.push(tokio::spawn(work));
        }
        let archived = shop.segments().len();
        wait_for("archived orders", || {
            shop.segments().len() >= archived + 2 && acknowledged.lock().unwrap().len() > 20
        })
        .await;
        process.kill();
        for customer in customers {
            customer.await.unwrap();
        }
        let acknowledged = acknowledged.lock().unwrap().clone();
        let restored = shop.orders_at(&[]);
        // What was acknowledged before the last archived order was sent must be there. Of two orders that were sent at
        // the same time, either one may be committed first, whichever response arrives first.
        let archived = restored.iter().filter_map(|id| acknowledged.get(id));
        let last = archived.map(|times| times.sent).max();
        let last = last.expect("an order of this round");
        for (id, Times { acknowledged, .. }) in &acknowledged {
            assert!(
                *acknowledged >= last || restored.contains(id),
                "{id} of {acknowledged}, before {last}"
            );
        }
        assert!(restored.len() > all, "{} of {all}", restored.len());
        all = shop.count_orders();
    }
    // Every restart continued the archive, so that there is one generation, and now nothing is missing.
    let process = shop.start().await;
    process.terminate();
    assert!(process.wait().success());
    assert_eq!(shop.orders_at(&[]).len(), all);
    assert_eq!(entries(&shop.place.path().join("wal")).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_missing_segment_is_reported_with_the_last_moment_before_it() {
    let shop = Archived::new();
    let process = shop.start().await;
    let customer = Remote::new(&process).registered("ada").await;
    for turn in 0..3 {
        order(&customer, &shop.product, &format!("key-{turn}"))
            .await
            .unwrap();
        let count = shop.segments().len();
        wait_for("the next segment", || shop.segments().len() > count).await;
    }
    process.terminate();
    assert!(process.wait().success());
    let all = shop.orders_at(&[]);
    assert_eq!(all.len(), 3);

    let segments = shop.segments();
    let damaged = &segments[segments.len() - 2];
    let whole = fs::read(damaged).unwrap();
    let flipped = flipped(whole.clone());
    let truncated = whole[..whole.len() - 1].to_vec();
    for content in [Some(flipped), Some(truncated), None] {
        match &content {
            Some(content) => fs::write(damaged, content).unwrap(),
            None => fs::remove_file(damaged).unwrap(),
        }
        let (_, output) = shop.restore(&[]);
        let error = fails(&output);
        assert!(error.contains("WAL segment"), "{error}");
        let (_, remedy) = error.split_once("`--to ").unwrap();
        let (time, _) = remedy.split_once('`').unwrap();
        let restored = shop.orders_at(&["--to", time]);
        assert_eq!(restored, all[..restored.len()]);
        assert!(restored.len() < all.len(), "{restored:?}");
    }
    fs::write(damaged, whole).unwrap();
    assert_eq!(shop.orders_at(&[]), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wal_that_another_program_restarts_gets_a_new_base_backup() {
    let shop = Archived::new();
    let process = shop.start().await;
    let customer = Remote::new(&process).registered("ada").await;
    let first = shop.generation();
    order(&customer, &shop.product, "key-1").await.unwrap();
    for round in 0..2 {
        // As the `sqlite3` program does.
        let foreign = rusqlite::Connection::open(shop.data.path().join("shop.db")).unwrap();
        foreign.busy_timeout(TIMEOUT).unwrap();
        foreign
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        drop(foreign);
        order(&customer, &shop.product, &format!("round-{round}"))
            .await
            .unwrap();
    }
    wait_for("a new base backup", || {
        shop.generation().is_some_and(|it| Some(it) != first)
    })
    .await;
    let last = order(&customer, &shop.product, "last").await.unwrap();
    process.terminate();
    assert!(process.wait().success());
    let orders = shop.orders_at(&[]);
    assert_eq!(orders.len(), 4);
    assert_eq!(orders.last(), Some(&last));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_are_set_aside_while_the_backup_place_cannot_be_reached() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("place");
    let url = place.to_str().unwrap();
    let settings = [
        ("backup_url", url),
        ("backup_wal", "on"),
        ("rate_limit", "off"),
    ];
    let storage = db::Options {
        // The WAL is restarted every few commits.
        checkpoint_pages: 160,
        wal_archiving: WalArchiving::On,
        ..db::Options::default()
    };
    let shop = TestShop::with(Engine::Sqlite, &settings, storage)
        .await
        .unwrap();
    let product = shop.product("Kettle", 129_900, 1_000).await;
    let archiver = wal_archive::start(&shop.app).unwrap().unwrap();
    wait_for("the first segment", || place.join("wal").is_dir()).await;
    back_up_if_due(&shop.app).await.unwrap();

    // The place is a file now.
    let away = directory.path().join("away");
    fs::rename(&place, &away).unwrap();
    fs::write(&place, "").unwrap();
    let customer = shop.customer("ada").await;
    let mut epochs = BTreeSet::new();
    for _ in 0..60 {
        customer.place_order(&product, 1).await;
        let wal = fs::read(shop.directory.path().join("shop.db-wal")).unwrap();
        epochs.insert(wal[16..24].to_vec());
    }
    assert!(epochs.len() > 3, "{} epochs", epochs.len());
    assert!(shop.app.db.wal_archive().unwrap().position().is_some());

    fs::remove_file(&place).unwrap();
    fs::rename(&away, &place).unwrap();
    shop.app.stopping.cancel();
    shop.app.db.close().await;
    wal_archive::finish(archiver).await;
    let restored = directory.path().join("restored");
    succeeds(&run(&restored, &["restore", url]));
    succeeds(&run(&restored, &["verify"]));
    let orders = RawDb::open(&restored, None).number("SELECT count(*) FROM orders");
    assert_eq!(orders, 60);
    assert_eq!(entries(&place.join("wal")).len(), 1);
    // What was set aside is not kept longer than until the next epoch.
    let kept = entries(&shop.directory.path().join("shop.db-archive"));
    assert!(kept.len() <= 3, "{kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_archived_before_the_commit_that_names_them() {
    let shop = Archived::new();
    let process = shop.start().await;
    let image = shop.data.path().join("kettle.png");
    fs::write(&image, crate::support::images::png()).unwrap();
    let image = image.to_str().unwrap();
    succeeds(&shop.shop(&[
        "admin", "product", "add", "--name", "Pot", "--price", "900", "--stock", "3", "--image",
        image,
    ]));
    // A command's commit has the time at which it is archived.
    wait_for("the product in the archive", || {
        let (directory, output) = shop.restore(&[]);
        succeeds(&output);
        let restored = RawDb::open(&directory.path().join("shop"), None);
        restored.number("SELECT count(*) FROM products WHERE name = 'Pot'") == 1
    })
    .await;
    let before = now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    succeeds(&shop.shop(&["admin", "product", "delete", &shop.product]));
    process.terminate();
    assert!(process.wait().success());
    let (directory, output) = shop.restore(&["--to", &before.to_string()]);
    let said = succeeds(&output);
    assert!(!said.contains("lacks"), "{said}");
    let restored = directory.path().join("shop");
    succeeds(&run(&restored, &["verify"]));
    assert_eq!(entries(&restored.join("images")).len(), 1);
}

#[test]
fn a_time_needs_a_place_that_has_it() {
    let shop = Archived::new();
    succeeds(&shop.shop(&["backup"]));
    let name = entries(shop.place.path())
        .into_iter()
        .find(|name| name.ends_with(".tar.gz"))
        .unwrap();
    let file = format!("{}/{name}", shop.place());
    let into = tempfile::tempdir().unwrap();
    let now = now().to_string();
    let with_file = run(into.path(), &["restore", &file, "--to", &now]);
    assert_eq!(with_file.status.code(), Some(2));
    let without_wal = fails(&run(into.path(), &["restore", shop.place(), "--to", &now]));
    assert!(without_wal.contains("SHOP_BACKUP_WAL"), "{without_wal}");
    let too_early = ["restore", shop.place(), "--to", "2020-01-01T00:00:00Z"];
    let too_early = fails(&run(into.path(), &too_early));
    assert!(too_early.contains("the oldest backup"), "{too_early}");
    let not_a_time = run(into.path(), &["restore", shop.place(), "--to", "yesterday"]);
    assert_eq!(not_a_time.status.code(), Some(2));
}
