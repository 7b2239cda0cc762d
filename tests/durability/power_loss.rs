//! A simulated power loss at a random moment under load: the synced part of the WAL is kept, and later sectors are kept or
//! lost at random. strace shows what was synced.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use bytes::Bytes;
use shop::core::rng::Rng;
use tokio::task::JoinHandle;

use super::{
    kill::{Known, assert_shown, shop_on},
    sync::has_strace,
    *,
};
use crate::support::sqlite_test;

const CUSTOMERS: u64 = 6;

/// The size of the WAL's header in bytes.
const HEADER: u64 = 32;

/// What a disk reads or writes at a time, in bytes.
const SECTOR: usize = 512;

/// The number of power losses. `SHOP_TEST_POWER_LOSSES` overrides it.
fn power_losses() -> u64 {
    std::env::var("SHOP_TEST_POWER_LOSSES").map_or(8, |losses| losses.parse().unwrap())
}

/// A position in the WAL: the number of its restarts, and an offset in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    epoch: u64,
    end: u64,
}

/// Returns the positions up to which the WAL was synced and written, from an strace log.
fn positions(log: &str) -> (Position, Position) {
    let (mut synced, mut written) = (Position::default(), Position::default());
    // The calls in progress: the beginning of a write, and what was written before a sync.
    let (mut writes, mut syncs) = (HashMap::new(), HashMap::new());
    // A line that is still being written has no end.
    let complete = log.rfind('\n').map_or("", |end| &log[..end]);
    for line in complete.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start().trim_end_matches(" (DELAYED)");
        let is_done = !call.ends_with("<unfinished ...>");
        if call.starts_with("fdatasync(") {
            syncs.insert(thread, written);
        } else if call.starts_with("pwrite64(") {
            writes.insert(thread, call);
        }
        if !is_done {
            continue;
        }
        let is_sync = call.contains("fdatasync");
        if is_sync && let Some(before) = syncs.remove(thread) {
            assert!(call.ends_with("= 0"), "{call}");
            synced = synced.max(before);
        } else if !is_sync && let Some(beginning) = writes.remove(thread) {
            let (offset, size) = range(beginning, call);
            if offset == 0 {
                // The header of a restarted WAL.
                written = Position {
                    epoch: written.epoch + 1,
                    end: size,
                };
            } else {
                written.end = written.end.max(offset + size);
            }
        }
    }
    (synced, written)
}

/// Returns the offset of a `pwrite64` and the number of bytes that it has written. The arguments may be in another line
/// than the result.
fn range(beginning: &str, call: &str) -> (u64, u64) {
    let arguments = beginning.split("<unfinished").next().unwrap();
    let arguments = arguments.split(") = ").next().unwrap();
    // `pwrite64(9</path>, "…"..., 24, 32)`
    let offset = arguments
        .trim_end()
        .trim_end_matches(')')
        .rsplit(", ")
        .next();
    let size = call.rsplit("= ").next();
    let number = |text: Option<&str>| text.unwrap().trim().parse().unwrap();
    (number(offset), number(size))
}

fn signal(process: &Process, name: &str) {
    let mut kill = Command::new("kill");
    kill.args([name, &process.pid().to_string()]);
    assert!(kill.status().unwrap().success());
}

/// Copies the data directory of a stopped server as the disk would keep it, with the part of the WAL that was synced.
fn copy(from: &Path, to: &Path, synced: Position, written: Position, rng: &Rng) {
    let mut cp = Command::new("cp");
    cp.arg("-a").arg(from).arg(to);
    assert!(cp.status().unwrap().success());
    // The shared memory is gone.
    drop(fs::remove_file(to.join("shop.db-shm")));
    let wal = to.join("shop.db-wal");
    let file = OpenOptions::new().write(true).open(&wal).unwrap();
    // After a restart without a sync, all earlier frames are in the database file.
    let kept = if synced.epoch == written.epoch {
        synced.end
    } else {
        HEADER
    };
    if rng.below(2) == 0 {
        file.set_len(kept).unwrap();
        return;
    }
    // Some sectors of the later frames are on the disk, others are not.
    let mut at = kept.next_multiple_of(SECTOR as u64);
    while at < written.end {
        if rng.below(3) == 0 {
            file.write_all_at(&[0; SECTOR], at).unwrap();
        }
        at += SECTOR as u64;
    }
}

/// A customer who places orders.
struct Shopper {
    /// How many orders are acknowledged.
    count: Arc<AtomicU64>,
    task: JoinHandle<Known>,
}

impl Shopper {
    /// Lets a customer place orders until the connection breaks.
    fn start(customer: &Remote, products: &Arc<Vec<String>>, round: String) -> Shopper {
        let count = Arc::new(AtomicU64::new(0));
        let (customer, products) = (customer.clone(), Arc::clone(products));
        let task = tokio::spawn(shop_on(customer, products, round, Arc::clone(&count)));
        Shopper { count, task }
    }

    fn acknowledged(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

sqlite_test! {
    async fn a_power_loss_loses_no_acknowledged_order(site: Site) {
        if !has_strace() {
            return;
        }
        let products = ["Kettle", "Mug", "Plate"].map(|name| site.product(name, 129_900, 1_000_000));
        let products = Arc::new(products.to_vec());
        let rng = Rng::seeded(7);
        let parent = tempfile::tempdir().unwrap();
        let mut directory: PathBuf = site.path().to_owned();
        let mut orders: Vec<(usize, Bytes)> = Vec::new();
        let mut unsynced = 0;
        for round in 0..power_losses() {
            let log = parent.path().join(format!("calls-{round}"));
            let wal = directory.join("shop.db-wal");
            let mut strace = Command::new("strace");
            strace.args(["-D", "-f", "-y", "-s", "8", "-e", "trace=fdatasync,pwrite64", "-o"]);
            // Each sync takes long, so that many power losses come before its end.
            strace.arg(&log).args(["-e", "inject=fdatasync:delay_enter=10ms"]).arg("-P");
            strace.arg(&wal).arg(env!("CARGO_BIN_EXE_shop"));
            let process = Process::start_with(strace, &directory);
            let mut customers = Vec::new();
            for number in 0..CUSTOMERS {
                let name = format!("customer{number}");
                let remote = Remote::new(&process);
                customers.push(if round == 0 {
                    remote.registered(&name).await
                } else {
                    remote.signed_in(&name).await
                });
            }
            let start = |(number, customer)| Shopper::start(customer, &products, format!("{number}-{round}"));
            let shoppers: Vec<Shopper> = customers.iter().enumerate().map(start).collect();
            let enough = 20 + rng.below(60);
            let deadline = Instant::now() + TIMEOUT;
            while shoppers.iter().map(Shopper::acknowledged).sum::<u64>() < enough {
                assert!(Instant::now() < deadline, "the customers make no progress");
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_micros(rng.below(20_000))).await;
            // In this order: a later sync does not count.
            let acknowledged: Vec<u64> = shoppers.iter().map(Shopper::acknowledged).collect();
            let (synced, _) = positions(&fs::read_to_string(&log).unwrap());
            signal(&process, "-STOP");
            // Its threads stop when their calls end.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let (_, written) = positions(&fs::read_to_string(&log).unwrap());
            unsynced += u64::from(synced < written);
            let next = parent.path().join(format!("data-{round}"));
            copy(&directory, &next, synced, written, &rng);
            process.kill();
            for (number, (shopper, count)) in shoppers.into_iter().zip(acknowledged).enumerate() {
                let known = shopper.task.await.unwrap().acknowledged.into_iter();
                orders.extend(known.take(usize::try_from(count).unwrap()).map(|body| (number, body)));
            }

            let restarted = Process::start(&next);
            for customer in &mut customers {
                *customer = customer.at(&restarted);
            }
            assert_shown(&customers, &orders).await;
            RawDb::open(&next, None).assert_invariants();
            restarted.kill();
            directory = next;
        }
        assert!(unsynced > 0, "no power loss came between a commit and its sync");
    }
}

#[test]
fn positions_are_read_from_a_log() {
    let wal = "9</data/shop.db-wal>";
    let lines = [
        format!("1 pwrite64({wal}, \"7\"..., 32, 0) = 32"),
        format!("1 fdatasync({wal}) = 0"),
        format!("1 pwrite64({wal}, \"0, \"..., 24, 32) = 24"),
        format!("1 pwrite64({wal}, \"0\"..., 4096, 56 <unfinished ...>"),
        format!("2 fdatasync({wal} <unfinished ...>"),
        "1 <... pwrite64 resumed>) = 4096".to_owned(),
        "2 <... fdatasync resumed>) = 0".to_owned(),
        format!("1 pwrite64({wal}, \"7\"..., 32, 0) = 3"),
    ];
    let position = |epoch, end| Position { epoch, end };
    let until = |count: usize| positions(&format!("{}\n", lines[..count].join("\n")));
    assert_eq!(until(2), (position(1, 32), position(1, 32)));
    assert_eq!(until(4), (position(1, 32), position(1, 56)));
    // The sync does not cover the write that was in progress when it began.
    assert_eq!(until(7), (position(1, 56), position(1, 4152)));
    assert_eq!(until(8), (position(1, 56), position(2, 3)));
}
