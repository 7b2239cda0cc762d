//! The speed of a restore.

use std::{fs, path::Path, process::Command, time::Instant};

use crate::{
    files::{files_in, megabytes_per_second, sync_all, total_size},
    large_shop::LargeShop,
    support::{median, results::Row, run_shop},
};

const ROUNDS: usize = 5;

pub(crate) fn measure(shop: &LargeShop, root: &Path) {
    fs::create_dir_all(root).expect("a directory");
    let archive = root.join("shop.tar.gz");
    let file = archive.to_str().expect("the path is UTF-8");
    let made = run_shop(&shop.home, &["backup", file], &[]);
    let size = total_size(&shop.files());
    let timed = |name: &str, unpack: &dyn Fn(&Path)| {
        let target = root.join(name);
        sync_all();
        let started = Instant::now();
        unpack(&target);
        let elapsed = started.elapsed();
        fs::remove_dir_all(&target).expect("the directory can be removed");
        megabytes_per_second(size, elapsed)
    };
    let (mut restores, mut yardsticks) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let speed = timed("restored", &|target| {
            let report = run_shop(target, &["restore", file], &[]);
            for count in ["orders", "products", "images"] {
                assert_eq!(report[count], made[count], "{count}: {report}");
            }
        });
        let unpacked = timed("unpacked", &|target| unpack(&archive, target, size));
        println!("restore, round {round}: {speed:.0} MB/s, `tar xzf` {unpacked:.0} MB/s");
        restores.push(speed);
        yardsticks.push(unpacked);
    }
    let (speed, yardstick) = (median(restores), median(yardsticks));
    Row::value("restore", speed, "MB/s")
        .at_least(100.0)
        .record();
    println!(
        "restore: {speed:.0} MB/s of database and images, {:.2} × `tar xzf` (medians of {ROUNDS})",
        speed / yardstick
    );
}

/// Unpacks the archive durably, without the program.
fn unpack(archive: &Path, target: &Path, size: u64) {
    fs::create_dir(target).expect("a directory");
    let unpacked = Command::new("tar")
        .arg("xzf")
        .arg(archive)
        .arg("-C")
        .arg(target)
        .status()
        .expect("`tar` runs");
    assert!(unpacked.success(), "`tar` failed");
    sync_all();
    assert!(total_size(&files_in(target)) >= size, "files are missing");
}
