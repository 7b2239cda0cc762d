//! Sheets that must not be imported twice: differences of stock add up.

use std::time::Duration;

use super::{sheet::Sheet, store};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
    },
    infra::db::Tx,
};

/// How long an import is remembered.
const REMEMBERED_FOR: Duration = Duration::from_hours(24 * 30);

/// Errors if the sheet's differences of stock were imported already.
pub(super) fn refuse(tx: &mut Tx<'_>, sheet: &Sheet) -> Result<()> {
    let Some(digest) = sheet.digest().filter(|_| !sheet.may_repeat) else {
        return Ok(());
    };
    let since = expiry(tx);
    match store::sheet_imported_at(tx, &digest, since)? {
        Some(at) => Err(repeated(at)),
        None => Ok(()),
    }
}

/// Remembers the sheet's differences of stock, in the transaction that applies them.
///
/// Errors as [`refuse`]; of two imports at once one gets this error.
pub(super) fn record(tx: &mut Tx<'_>, sheet: &Sheet) -> Result<()> {
    let Some(digest) = sheet.digest() else {
        return Ok(());
    };
    delete_expired_sheets(tx)?;
    if store::record_sheet(tx, &digest, sheet.may_repeat)? {
        return Ok(());
    }
    refuse(tx, sheet)?;
    Err(Error::internal("a sheet is remembered and not found"))
}

/// Forgets the sheets that were imported too long ago to be imported again by mistake.
pub fn delete_expired_sheets(tx: &mut Tx<'_>) -> Result<u64> {
    let before = expiry(tx);
    store::delete_sheets_before(tx, before)
}

fn expiry(tx: &Tx<'_>) -> Timestamp {
    tx.now().minus(REMEMBERED_FOR)
}

fn repeated(at: Timestamp) -> Error {
    Error::unavailable(format!(
        "the differences between `stockQuantity` and `stockAtExport` in this sheet were imported at {at}; \
         nothing was changed: export again, or apply them once more with `--again`"
    ))
}
