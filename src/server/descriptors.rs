//! File descriptors: how many the process may open, and how many connections they suffice for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the database, the log, the listener and outgoing connections may need.
const RESERVED: u64 = 96;

/// An open connection may have one file open beside itself: an image or an upload.
const PER_CONNECTION: u64 = 2;

/// More connections than this are not accepted by default, however many descriptors there are.
const MAX_CONNECTIONS: u64 = 10_000;

/// Fewer than this would serve nobody.
const MIN_CONNECTIONS: u64 = 16;

/// What became of the limit of open files.
#[derive(Debug)]
pub struct FileLimit {
    before: Rlimit,
    raised: rustix::io::Result<()>,
}

/// Raises the limit of open files from the soft to the hard limit.
pub fn raise_file_limit() -> FileLimit {
    let before = getrlimit(Resource::Nofile);
    let hard = before.maximum;
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: hard,
            maximum: hard,
        },
    );
    FileLimit { before, raised }
}

impl FileLimit {
    /// Logs the limits of open files and of connections.
    pub fn log(&self, max_connections: usize) {
        let Rlimit {
            current: soft,
            maximum: hard,
        } = self.before;
        match &self.raised {
            Ok(()) => tracing::info!(
                soft,
                hard,
                max_connections,
                "raised the limit of open files to the hard limit"
            ),
            Err(error) => tracing::warn!(
                soft,
                hard,
                max_connections,
                %error,
                "could not raise the limit of open files"
            ),
        }
    }
}

/// How many connections the process can hold open under its limit of open files.
pub(super) fn max_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = files.saturating_sub(RESERVED) / PER_CONNECTION;
    let connections = connections.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}
