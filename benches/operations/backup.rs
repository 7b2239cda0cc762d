//! Checkouts while the shop is backed up.
//!
//! Every measurement begins with the same data and a new server, because the customers add about as much data as the
//! shop has.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    comparison::{Goals, describe, record_ratios},
    files::{join_files, megabytes_per_second, sync_all, total_size},
    large_shop::{CUSTOMERS, LargeShop},
    server,
    support::{Measurement, checkout::Customers, median, run_shop},
};

const ROUNDS: usize = 3;

/// How long customers check out before each measurement, and how long the measurement without a backup takes.
const WARM_UP: Duration = Duration::from_secs(2);
const WITHOUT: Duration = Duration::from_secs(10);

/// How long the server's own backup may take.
const TIMEOUT: Duration = Duration::from_mins(30);

/// What happens while customers check out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Nothing,
    /// The files are copied into one, with an fsync.
    Copy,
    /// `shop backup`, into one file.
    Command,
    /// The server makes the backup that is due at its start. The place has no images yet.
    Schedule,
}

impl Work {
    const ALL: [Work; 4] = [Work::Nothing, Work::Copy, Work::Command, Work::Schedule];

    fn name(self) -> &'static str {
        match self {
            Work::Nothing => "nothing else",
            Work::Copy => "a copy of the files",
            Work::Command => "`shop backup`",
            Work::Schedule => "a scheduled backup",
        }
    }
}

/// The measurements of one kind of work, and how long the work took.
#[derive(Default)]
struct Results {
    loads: Vec<Measurement>,
    seconds: Vec<f64>,
}

pub(crate) async fn measure(shop: &LargeShop, root: &Path) {
    let mut fixture = Fixture::create(shop, root).await;
    let mut results = Work::ALL.map(|_| Results::default());
    for round in 1..=ROUNDS {
        for (work, results) in Work::ALL.into_iter().zip(&mut results) {
            let (elapsed, load) = fixture.measure(work).await;
            println!(
                "backup, round {round}: with {} {}, {:.1} s",
                work.name(),
                describe(&load),
                elapsed.as_secs_f64()
            );
            results.loads.push(load);
            results.seconds.push(elapsed.as_secs_f64());
        }
    }
    let [nothing, others @ ..] = results;
    for (work, with) in Work::ALL.into_iter().skip(1).zip(others) {
        let name = format!(
            "backup: {CUSTOMERS} customers check out during {}",
            work.name()
        );
        let goals = match work {
            Work::Command | Work::Schedule => Goals {
                rate: Some(0.8),
                p99: Some(1.5),
            },
            Work::Nothing | Work::Copy => Goals::default(),
        };
        record_ratios(&name, &goals, &with.loads, &nothing.loads);
        let elapsed = Duration::from_secs_f64(median(with.seconds));
        println!(
            "  it takes {:.1} s, {:.0} MB/s",
            elapsed.as_secs_f64(),
            megabytes_per_second(fixture.size, elapsed)
        );
    }
}

struct Fixture<'a> {
    shop: &'a LargeShop,
    customers: Customers,
    /// The database before the first measurement.
    original: PathBuf,
    /// Where backups and copies go.
    target: PathBuf,
    /// The size of the database and the images in bytes.
    size: u64,
}

impl Fixture<'_> {
    async fn create<'a>(shop: &'a LargeShop, root: &Path) -> Fixture<'a> {
        fs::create_dir_all(root).expect("a directory");
        let server = server::start(&shop.home, &[]);
        let mut customers = Customers::sign_in(&server.address, CUSTOMERS, &shop.password).await;
        customers.disconnect();
        server.stop();
        let original = root.join("original.db");
        fs::copy(shop.database(), &original).expect("a copy of the file");
        Fixture {
            shop,
            customers,
            original,
            target: root.join("target"),
            size: total_size(&shop.files()),
        }
    }

    /// Measures checkouts during `work`. Returns how long the work took.
    async fn measure(&mut self, work: Work) -> (Duration, Measurement) {
        self.reset();
        let environment = match work {
            Work::Schedule => vec![("SHOP_BACKUP_URL", self.target.display().to_string())],
            _ => Vec::new(),
        };
        let mut started = Instant::now();
        let server = server::start(&self.shop.home, &environment);
        self.customers.connect(&server.address).await;
        self.customers.check_out_during(sleep(WARM_UP)).await;
        if work != Work::Schedule {
            started = Instant::now();
        }
        let running = self.run(work);
        let timed = async {
            running.await;
            started.elapsed()
        };
        let (elapsed, load) = self.customers.check_out_during(timed).await;
        self.customers.disconnect();
        server.stop();
        (elapsed, load)
    }

    /// Removes what the last measurement has added.
    fn reset(&self) {
        let home = &self.shop.home;
        for name in ["shop.db-wal", "shop.db-shm"] {
            let left = home.join(name).exists();
            assert!(!left, "the server left `{name}`");
        }
        fs::copy(&self.original, self.shop.database()).expect("a copy of the file");
        for directory in [&home.join("mail"), &self.target] {
            if directory.exists() {
                fs::remove_dir_all(directory).expect("the directory can be removed");
            }
        }
        fs::create_dir(&self.target).expect("a directory");
        sync_all();
    }

    /// Does the work, or waits until the server has done it.
    fn run(&self, work: Work) -> impl Future<Output = ()> + use<> {
        let (home, target) = (self.shop.home.clone(), self.target.clone());
        let files = self.shop.files();
        async move {
            match work {
                Work::Nothing => sleep(WITHOUT).await,
                Work::Copy => {
                    let to = target.join("copy");
                    let copy = spawn_blocking(move || join_files(&files, &to));
                    copy.await.expect("a copy");
                }
                Work::Command => {
                    let images = files.len() - 1;
                    let backup = spawn_blocking(move || back_up(&home, &target, images));
                    backup.await.expect("a backup");
                }
                Work::Schedule => {
                    let made = wait_for_archive(&target);
                    let made = tokio::time::timeout(TIMEOUT, made).await;
                    made.expect("the server makes a backup");
                }
            }
        }
    }
}

/// Makes a backup by the command, and checks that it has all images.
fn back_up(home: &Path, target: &Path, images: usize) {
    let file = target.join("shop.tar.gz");
    let file = file.to_str().expect("the path is UTF-8");
    let made = run_shop(home, &["backup", file], &[]);
    assert_eq!(made["images"], images, "{made}");
}

/// Waits until a place has an archive.
async fn wait_for_archive(place: &Path) {
    let is_archive = |path: PathBuf| path.extension().is_some_and(|extension| extension == "gz");
    let is_there = || {
        let mut entries = fs::read_dir(place).expect("the directory can be read");
        entries.any(|entry| is_archive(entry.expect("an entry").path()))
    };
    while !is_there() {
        sleep(Duration::from_millis(20)).await;
    }
}
