//! The space of a file system.

use std::path::Path;

use crate::core::error::{Error, Result};

/// The space of a file system, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    /// What this user may still write.
    pub(super) free: u64,
    pub(super) size: u64,
}

/// Returns the space of the file system with this path.
pub(super) fn space(path: &Path) -> Result<Space> {
    let stat = rustix::fs::statvfs(path).map_err(Error::internal)?;
    Ok(Space {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        size: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}
