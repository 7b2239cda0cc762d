//! Memory, CPU time and files of this process, as Prometheus' own clients name them.

use crate::core::clock::Timestamp;

use super::declared::PROCESS_START;

/// Sets the metrics of the process, whose start is `started`.
pub(super) fn collect(started: Timestamp) {
    let started = u32::try_from(started.seconds()).unwrap_or(u32::MAX);
    PROCESS_START.gauge([]).set(started);
    #[cfg(target_os = "linux")]
    if let Err(error) = linux::collect() {
        tracing::debug!(%error, "cannot read /proc/self");
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, io};

    use rustix::{
        param::page_size,
        process::{Resource, getrlimit},
        time::{ClockId, clock_gettime},
    };

    use crate::server::metrics::{
        collect::{float, size},
        declared::{PROCESS_CPU, PROCESS_FILES, PROCESS_MAX_FILES, PROCESS_MEMORY},
    };

    pub(super) fn collect() -> io::Result<()> {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let nanoseconds = u64::try_from(cpu.tv_sec * 1_000_000_000 + cpu.tv_nsec);
        PROCESS_CPU
            .gauge([])
            .set(float(nanoseconds.unwrap_or_default()) / 1e9);
        PROCESS_MEMORY.gauge([]).set(size(resident_memory()?));
        let files = fs::read_dir("/proc/self/fd")?.count();
        PROCESS_FILES.gauge([]).set(size(files));
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            PROCESS_MAX_FILES.gauge([]).set(float(limit));
        }
        Ok(())
    }

    /// Returns the second number of `/proc/self/statm`, which counts pages (proc(5)), in bytes.
    fn resident_memory() -> io::Result<usize> {
        let sizes = fs::read_to_string("/proc/self/statm")?;
        let pages = sizes.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        let pages: usize = pages.ok_or(io::ErrorKind::InvalidData)?;
        Ok(pages.saturating_mul(page_size()))
    }
}
