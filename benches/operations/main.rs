//! What operating a shop costs its customers.
//!
//! Each part measures the same load with and without something, alternating in one run, and prints the absolute
//! figures and the ratio of the medians:
//!
//! - `--backup`: 64 customers check out while the shop is backed up, by `shop backup` and by the server itself. The
//!   yardstick is a copy of the same files into one, with an fsync.
//! - `--restore`: `shop restore` of that backup into an empty directory. The yardstick is `tar xzf` and `sync`.
//! - `--archive`: 64 and 16 customers check out while the WAL is archived.
//! - `--metrics`: lists of products while the metrics are read every five seconds.
//! - `--log`: lists of products with a line in the log for each request.
//!
//! Without a flag, all parts run. The first two use a shop of `--megabytes 1000`, half of it the database and half
//! images, and need about six times as much space in `TMPDIR`. The program's limits are on, and every response must
//! be right; the ratios are only printed.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints results, and panics on errors"
)]

mod archive;
mod backup;
mod comparison;
mod files;
mod large_shop;
mod list;
mod restore;
mod server;
#[expect(dead_code, reason = "the other benchmarks use the rest")]
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use large_shop::LargeShop;
use support::block_on;

const PARTS: [&str; 5] = ["--backup", "--restore", "--archive", "--metrics", "--log"];

fn main() {
    let options = Options::parse(std::env::args().skip(1));
    let directory = tempfile::tempdir().expect("a directory");
    block_on(run(&options, directory.path()));
}

async fn run(options: &Options, root: &Path) {
    if options.selects("--backup") || options.selects("--restore") {
        let shop = LargeShop::create(&root.join("large"), options.megabytes);
        // The restore first: the customers of the other part change the shop.
        if options.selects("--restore") {
            restore::measure(&shop, &root.join("restore"));
        }
        if options.selects("--backup") {
            backup::measure(&shop, &root.join("backup")).await;
        }
    }
    if options.selects("--archive") {
        archive::measure(&root.join("archive")).await;
    }
    if options.selects("--metrics") {
        list::measure_metrics(&root.join("metrics")).await;
    }
    if options.selects("--log") {
        list::measure_log(&root.join("log")).await;
    }
}

struct Options {
    /// The selected parts; all if it is empty.
    parts: Vec<String>,
    /// The size of the large shop.
    megabytes: i64,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Options {
        let mut options = Options {
            parts: Vec::new(),
            megabytes: 1000,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // `cargo bench` adds it.
                "--bench" => {}
                "--megabytes" => {
                    let size = arguments.next().and_then(|size| size.parse().ok());
                    options.megabytes = size.expect("`--megabytes` takes a number");
                }
                part if PARTS.contains(&part) => options.parts.push(argument),
                _ => panic!("unknown argument `{argument}`; the parts are {PARTS:?}"),
            }
        }
        options
    }

    fn selects(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|selected| selected == part)
    }
}
