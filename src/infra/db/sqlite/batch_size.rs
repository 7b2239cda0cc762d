//! How large a group may get: so large that its commit is cheap beside its jobs, and no larger, for
//! while one group runs, the callers of the one before it ask anew. In groups of all who wait, callers
//! and writer would take turns.

use std::time::Duration;

/// Any group may be so large.
const SMALLEST: usize = 24;

/// No group is larger, so that none waits for a crowd.
pub(super) const LARGEST: usize = 256;

/// The newest measure counts for one in so many: one that was held up must not decide.
const MEMORY: u32 = 16;

/// What a job and a commit took of late.
#[derive(Debug, Default)]
pub(super) struct Pace {
    job: Duration,
    commit: Duration,
}

impl Pace {
    /// How many jobs the next group may have: those that take half as long again as a commit.
    pub(super) fn most(&self) -> usize {
        let most = (self.commit * 3).as_nanos() / (self.job * 2).as_nanos().max(1);
        usize::try_from(most)
            .unwrap_or(LARGEST)
            .clamp(SMALLEST, LARGEST)
    }

    /// Learns from a group of so many jobs.
    pub(super) fn note(&mut self, jobs: usize, work: Duration, commit: Duration) {
        let job = work / u32::try_from(jobs).unwrap_or(u32::MAX);
        self.job = blend(self.job, job);
        self.commit = blend(self.commit, commit);
    }
}

fn blend(old: Duration, new: Duration) -> Duration {
    (old * (MEMORY - 1) + new) / MEMORY
}
