//! The limit of open files (`RLIMIT_NOFILE`), and how many connections it allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors reserved for the database, the log, the listener and outgoing connections.
const RESERVED: u64 = 96;

/// Descriptors per connection: its socket, and one file (an image or an upload).
const PER_CONNECTION: u64 = 2;

/// The default maximum of connections if there are plenty of descriptors.
const MAX_CONNECTIONS: u64 = 10_000;

/// The minimum, however few descriptors there are.
const MIN_CONNECTIONS: u64 = 16;

/// The result of [`raise_file_limit`].
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

/// Returns how many connections fit into the limit of open files.
pub(super) fn max_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = files.saturating_sub(RESERVED) / PER_CONNECTION;
    let connections = connections.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}
