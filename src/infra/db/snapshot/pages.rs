//! Copies a `SQLite` file page by page (<https://www.sqlite.org/backup.html>).

use std::{fs::File, path::Path};

use rusqlite::backup::{Backup, StepResult};

use crate::{
    core::error::{Error, Result},
    infra::db::sqlite::{
        self, failure,
        wal::{self, Mark},
    },
};

/// How many pages are copied between two calls of `progress`.
const STEP: i32 = 2048;

/// Copies the file in one pass. Every page of the copy equals the source's, apart from counters in the header, so
/// that WAL frames that were written later can be applied to it.
///
/// One read transaction is open during the whole copy. It gives all steps the same snapshot: otherwise the copy
/// would start again after each commit of another connection, and might never end. It delays no writer, but the WAL
/// cannot restart from its beginning meanwhile, so the copy does nothing else: what takes longer (compressing,
/// uploading) reads the copy.
///
/// Returns the position of the copy in the WAL, if that is archived.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Mark>> {
    let source = sqlite::open_standalone(from, false)?;
    let mark = loop {
        let before = wal::mark(from)?;
        sqlite::run(&source, "BEGIN")?;
        // A transaction takes its snapshot at the first read.
        source
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(failure)?;
        let after = wal::mark(from)?;
        if before.map(|it| it.salts) == after.map(|it| it.salts) {
            break after;
        }
        // The WAL was restarted in between.
        sqlite::run(&source, "COMMIT")?;
    };
    let mut copy = rusqlite::Connection::open(to).map_err(failure)?;
    // The copy is only useful when it is complete, so it needs no journal, and no sync for durability.
    copy.pragma_update(None, "journal_mode", "off")
        .and_then(|()| copy.pragma_update(None, "synchronous", "off"))
        .map_err(failure)?;
    let failed = |error| wal::failed("write", to, &error);
    let written = File::open(to).map_err(failed)?;
    let backup = Backup::new(&source, &mut copy).map_err(failure)?;
    loop {
        match backup.step(STEP).map_err(failure)? {
            StepResult::Done => return Ok(mark),
            StepResult::More => {
                // In small steps, since ext4 lets an fsync of the WAL wait for the new blocks of all files.
                written.sync_data().map_err(failed)?;
                let pages = backup.progress();
                let count = |pages: i32| u64::try_from(pages).unwrap_or_default();
                progress(
                    count(pages.pagecount - pages.remaining),
                    count(pages.pagecount),
                );
            }
            _ => return Err(Error::unavailable("the database is locked; try again")),
        }
    }
}
