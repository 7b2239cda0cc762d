//! Checks of this machine: versions, permissions, and the speed of its disk.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    infra::file_modes,
    server::{
        check_owner,
        checks::{Check, CheckStatus},
    },
};

/// A sync that takes longer is reported: every group of writes waits for one.
const SLOW_SYNC: Duration = Duration::from_millis(50);

/// The number of syncs that are timed.
const SYNCS: usize = 9;

pub(super) fn versions() -> Check {
    let (program, sqlite) = (env!("CARGO_PKG_VERSION"), rusqlite::version());
    let detail = format!("shop {program}, SQLite {sqlite}");
    Check::new("versions", CheckStatus::Ok, detail)
}

/// Checks that this user can write the data directory, and that others cannot read it.
pub(super) fn permissions(data_dir: &Path) -> Check {
    let name = "permissions";
    if let Err(error) = check_owner(data_dir) {
        return Check::new(name, CheckStatus::Error, error.detail());
    }
    if !data_dir.exists() {
        let data_dir = data_dir.display();
        let detail = format!("the data directory `{data_dir}` does not exist");
        return Check::new(name, CheckStatus::Warning, detail);
    }
    if file_modes::is_open_to_others(data_dir) {
        let data_dir = data_dir.display();
        let detail =
            format!("other users can enter the data directory; close it: chmod 700 '{data_dir}'");
        return Check::new(name, CheckStatus::Warning, detail);
    }
    Check::new(
        name,
        CheckStatus::Ok,
        "only this user can use the data directory",
    )
}

/// Measures how long the disk takes to make a write durable.
pub(super) fn sync_speed(data_dir: &Path) -> Check {
    let name = "disk-sync";
    let median = match median_sync(data_dir) {
        Ok(median) => median,
        Err(error) => {
            let data_dir = data_dir.display();
            let detail = format!("cannot write to `{data_dir}`: {error}; check the disk");
            return Check::new(name, CheckStatus::Error, detail);
        }
    };
    let detail = format!(
        "a write is durable after {:.1} ms",
        median.as_secs_f64() * 1000.0
    );
    if median < SLOW_SYNC {
        return Check::new(name, CheckStatus::Ok, detail);
    }
    let detail = format!("{detail}, so checkouts are slow; use a local SSD for the data directory");
    Check::new(name, CheckStatus::Warning, detail)
}

fn median_sync(directory: &Path) -> io::Result<Duration> {
    let mut file: File = tempfile::tempfile_in(directory)?;
    let mut durations = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let started = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        durations.push(started.elapsed());
    }
    durations.sort_unstable();
    Ok(durations[SYNCS / 2])
}
