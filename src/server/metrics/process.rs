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
    use procfs::{
        ProcResult, page_size,
        process::{LimitValue, Process},
        ticks_per_second,
    };

    use crate::server::metrics::{
        collect::float,
        declared::{PROCESS_CPU, PROCESS_FILES, PROCESS_MAX_FILES, PROCESS_MEMORY},
    };

    pub(super) fn collect() -> ProcResult<()> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let cpu = float(stat.utime + stat.stime) / float(ticks_per_second());
        PROCESS_CPU.gauge([]).set(cpu);
        let memory = stat.rss.saturating_mul(page_size());
        PROCESS_MEMORY.gauge([]).set(float(memory));
        let files = u64::try_from(process.fd_count()?).unwrap_or(u64::MAX);
        PROCESS_FILES.gauge([]).set(float(files));
        if let LimitValue::Value(limit) = process.limits()?.max_open_files.soft_limit {
            PROCESS_MAX_FILES.gauge([]).set(float(limit));
        }
        Ok(())
    }
}
