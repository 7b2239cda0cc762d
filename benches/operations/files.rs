//! Sizes and copies of files.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Returns the files of a directory and of those in it.
pub(crate) fn files_in(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_in(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Returns the total size of these files in bytes.
pub(crate) fn total_size(files: &[PathBuf]) -> u64 {
    files
        .iter()
        // The server may have deleted a temporary one.
        .filter_map(|file| Some(fs::metadata(file).ok()?.len()))
        .sum()
}

/// Copies files into one, durably.
pub(crate) fn join_files(files: &[PathBuf], to: &Path) {
    let mut out = File::create(to).expect("a new file");
    for file in files {
        let mut file = File::open(file).expect("the file opens");
        io::copy(&mut file, &mut out).expect("the file can be copied");
    }
    out.sync_all().expect("the file can be synced");
}

/// Writes what the system has not written yet, so that it does not delay what is measured next.
pub(crate) fn sync_all() {
    rustix::fs::sync();
}

/// Returns megabytes per second.
pub(crate) fn megabytes_per_second(bytes: u64, elapsed: std::time::Duration) -> f64 {
    let kilobytes = u32::try_from(bytes / 1000).expect("less than 4 TB");
    f64::from(kilobytes) / 1000.0 / elapsed.as_secs_f64()
}
