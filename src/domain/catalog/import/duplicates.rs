//! Rejects a second import of the same stock differences: applying a difference twice makes the stock wrong.

use std::time::Duration;

use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
    },
    domain::catalog::{csv::ImportFile, problems::ALREADY_IMPORTED, store},
    infra::db::Tx,
};

/// How long an import is remembered.
const RETENTION: Duration = Duration::from_hours(24 * 30);

/// Errors: `already-imported` if the file's stock differences were imported before.
pub(super) fn check(tx: &mut Tx<'_>, file: &ImportFile) -> Result<()> {
    let Some(digest) = file.digest().filter(|_| !file.may_repeat) else {
        return Ok(());
    };
    let since = expiry(tx);
    match store::imported_at(tx, &digest, since)? {
        Some(at) => Err(already_imported(at)),
        None => Ok(()),
    }
}

/// Records the file's stock differences in the transaction that applies them.
///
/// Errors: like [`check`]; of two concurrent imports of one file, the second fails.
pub(super) fn record(tx: &mut Tx<'_>, file: &ImportFile) -> Result<()> {
    let Some(digest) = file.digest() else {
        return Ok(());
    };
    delete_expired_imports(tx)?;
    if store::record_import(tx, &digest, file.may_repeat)? {
        return Ok(());
    }
    check(tx, file)?;
    Err(Error::internal("a recorded import was not found"))
}

/// Deletes the records of imports that are past their retention; returns how many.
pub fn delete_expired_imports(tx: &mut Tx<'_>) -> Result<u64> {
    let before = expiry(tx);
    store::delete_imports_before(tx, before)
}

fn expiry(tx: &Tx<'_>) -> Timestamp {
    tx.now().minus(RETENTION)
}

fn already_imported(at: Timestamp) -> Error {
    let detail = format!(
        "the differences between `stockQuantity` and `stockAtExport` in this file were imported at {at}; \
         nothing was changed: export again, or apply them once more with `--again`"
    );
    ALREADY_IMPORTED.error(detail)
}
