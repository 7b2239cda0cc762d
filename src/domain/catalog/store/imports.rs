//! Records of imported CSV files, by the digest of their stock differences.

use crate::{
    core::{clock::Timestamp, error::Result},
    infra::db::{Tx, params},
};

/// Returns when a file with this digest was imported, ignoring imports before `since`.
pub(in crate::domain::catalog) fn imported_at(
    tx: &mut Tx<'_>,
    digest: &[u8],
    since: Timestamp,
) -> Result<Option<Timestamp>> {
    tx.one(
        "SELECT imported_at FROM imported_sheets WHERE digest = ?1 AND imported_at >= ?2",
        params![digest, since],
        |row| row.get("imported_at"),
    )
}

/// Records an import. Returns `false` if the digest is already recorded and may not repeat.
pub(in crate::domain::catalog) fn record_import(
    tx: &mut Tx<'_>,
    digest: &[u8],
    may_repeat: bool,
) -> Result<bool> {
    let recorded = tx.execute(
        "INSERT INTO imported_sheets (digest, imported_at) VALUES (?1, ?2)
         ON CONFLICT (digest) DO UPDATE SET imported_at = excluded.imported_at WHERE ?3 = 1",
        params![digest, tx.now(), i64::from(may_repeat)],
    )?;
    Ok(recorded == 1)
}

pub(in crate::domain::catalog) fn delete_imports_before(
    tx: &mut Tx<'_>,
    before: Timestamp,
) -> Result<u64> {
    tx.execute(
        "DELETE FROM imported_sheets WHERE imported_at < ?1",
        params![before],
    )
}
