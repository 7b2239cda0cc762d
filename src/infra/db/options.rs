//! Tuning options of the storage engines.

use std::time::Duration;

/// The default of [`Options::long_read_timeout`].
const LONG_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the WAL of a `SQLite` database is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WalArchiving {
    /// As the server decides; this process leaves the WAL of an archived database alone.
    #[default]
    Unchanged,
    Off,
    On,
}

/// Tuning options. The defaults suit production; tests use smaller values.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The maximum number of queued operations. Further ones fail with `unavailable`.
    pub queue_capacity: usize,
    /// The number of connections for short operations.
    pub readers: u32,
    /// The number of connections for long reads.
    pub long_readers: u32,
    /// The maximum number of concurrent long reads per client network.
    pub long_reads_per_client: usize,
    /// The lock timeout: how long an operation waits for a lock of another process, counted from its arrival.
    pub lock_timeout: Duration,
    /// The deadline of a long read.
    pub long_read_timeout: Duration,
    /// `SQLite`: a checkpoint starts when the WAL has this many pages.
    pub checkpoint_pages: i64,
    /// `SQLite`: the page cache of the writer, in KiB.
    pub writer_cache_kib: i64,
    pub wal_archiving: WalArchiving,
    /// `SQLite`: whether this process is the server. It syncs a commit while the next ones run, although another process
    /// may read the commit earlier, and it may cache what it reads.
    pub is_server: bool,
    /// `PostgreSQL`: the id of the image folder that all instances on one database must share. An instance
    /// with another id cannot start.
    pub image_folder: Option<i32>,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            queue_capacity: 1024,
            readers: 16,
            long_readers: 4,
            // One network keeps at most half of the cores busy.
            long_reads_per_client: (cores / 2).clamp(1, 3),
            lock_timeout: Duration::from_secs(5),
            long_read_timeout: LONG_READ_TIMEOUT,
            // 64 MiB. A page that is rewritten often is copied into the database file once per checkpoint.
            checkpoint_pages: 16_000,
            // Small, because each commit that moved pages scans the whole cache. The operating system's page
            // cache holds the rest.
            writer_cache_kib: 8_192,
            wal_archiving: WalArchiving::default(),
            is_server: false,
            image_folder: None,
        }
    }
}
