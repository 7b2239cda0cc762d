//! The `SQLite` engine: one file in WAL mode, one writer, many readers (<https://www.sqlite.org/wal.html>).
//!
//! - **Writer**: one thread owns the only connection that writes. It commits queued operations in batches,
//!   one transaction each (group commit); see `writer` and `group_commit`.
//! - **Readers**: in WAL mode a read transaction sees a snapshot and never waits for the writer. Short reads
//!   run on the caller's thread with a pooled connection; long reads run on blocking threads with their own
//!   pool and a deadline.
//! - **Durability**: another thread fsyncs the WAL before a commit is acknowledged; see `syncer`. After a failed fsync
//!   the engine rejects all writes; see [`super::Db::failed`].
//! - **Checkpoints**: a separate thread copies the WAL into the database file; see `checkpoint`.
//! - **Archiving**: a server can archive all WAL frames, for restoring to any commit; see [`wal`].

mod checkpoint;
mod connection;
mod engine;
mod group_commit;
mod open;
mod preflight;
mod statement_cache;
mod syncer;
pub mod wal;
mod writer;
mod writer_connection;

pub use self::engine::Sqlite;
pub(super) use self::{
    connection::{failure, is_disk_full, run},
    open::open_standalone,
    preflight::schema_version,
};
