//! The size of the next group commit.
//!
//! The writer adapts the batch size, so that the work of a batch takes about 1.5 times as long as its commit.
//! Larger batches would amortize the fsync further, but they reduce concurrency: while the writer runs one
//! batch, the callers of the previous one send their next requests. If every batch contained all waiting
//! callers, callers and writer would alternate instead of overlapping.

use std::time::Duration;

/// Every batch may have this many operations.
const MIN_BATCH: usize = 24;

/// No batch has more operations; it bounds the latency of the first one.
pub(super) const MAX_BATCH: usize = 256;

/// The weight of the newest measurement in the moving average is 1 / `SMOOTHING`.
const SMOOTHING: u32 = 16;

/// Moving averages of the time per operation and per commit.
#[derive(Debug, Default)]
pub(super) struct BatchSize {
    operation: Duration,
    commit: Duration,
}

impl BatchSize {
    /// Returns the maximum size of the next batch.
    pub(super) fn max(&self) -> usize {
        let size = (self.commit * 3).as_nanos() / (self.operation * 2).as_nanos().max(1);
        usize::try_from(size)
            .unwrap_or(MAX_BATCH)
            .clamp(MIN_BATCH, MAX_BATCH)
    }

    /// Updates the averages with the times of one batch of `operations`.
    pub(super) fn record(&mut self, operations: usize, work: Duration, commit: Duration) {
        let operation = work / u32::try_from(operations).unwrap_or(u32::MAX);
        self.operation = moving_average(self.operation, operation);
        self.commit = moving_average(self.commit, commit);
    }
}

fn moving_average(old: Duration, new: Duration) -> Duration {
    (old * (SMOOTHING - 1) + new) / SMOOTHING
}
