//! Brings what is stored of names and words to this program's folding: after an upgrade everything that an
//! earlier folding wrote, after a transfer the words, which it leaves behind.
//!
//! Products are written in the order of their ids, some by each transaction, and each row says by which
//! folding it was written, so a start that is interrupted goes on where it was. Programs that start on one
//! database at the same time take turns. Products that left the catalog keep what they have: nothing
//! compares it.

use uuid::Uuid;

use super::{category, fold::VERSION, store, store::search};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
    },
    infra::db::{self, Tx},
};

/// How many products are written by one transaction.
const BATCH: i64 = 500;

/// The setting that keeps the version by which everything is written.
const SETTING: &str = "folding";

/// Where writing begins, and how much of it there is.
#[derive(Debug, Clone, Copy)]
pub struct Refolding {
    /// Whether an earlier folding wrote anything.
    pub is_outdated: bool,
    /// Behind which product rows may be missing or outdated.
    pub after: ProductId,
    /// How many products are written already.
    pub done: i64,
    /// How many products there are.
    pub total: i64,
}

/// Returns where writing begins. Keys of categories are written at once: they are few.
pub fn begin_refolding(tx: &mut Tx<'_>) -> Result<Refolding> {
    let version = version(tx)?;
    let nil = ProductId(Uuid::nil());
    let mut begin = Refolding {
        is_outdated: version < VERSION || search::is_any_unversioned(tx)?,
        after: nil,
        done: 0,
        total: store::kept_count(tx)?,
    };
    if begin.is_outdated {
        category::refold(tx)?;
        begin.done = search::count_folded(tx)?;
    } else {
        begin.after = search::last(tx)?.unwrap_or(nil);
    }
    Ok(begin)
}

/// Writes some products behind `after`. Returns the last of them and how many they were; none: everything
/// is written.
pub fn refold_from(tx: &mut Tx<'_>, after: ProductId) -> Result<Option<(ProductId, i64)>> {
    version(tx)?;
    let outdated = search::outdated(tx, after, BATCH)?;
    for product in outdated.iter().filter(|product| !product.has_key) {
        search::set_name_key(tx, product)?;
    }
    let entries: Vec<_> = outdated.into_iter().map(|product| product.entry).collect();
    let Some(last) = entries.last().map(|entry| entry.product) else {
        return Ok(None);
    };
    let count = i64::try_from(entries.len()).map_err(Error::internal)?;
    search::write(tx, entries)?;
    Ok(Some((last, count)))
}

/// Records that everything is written.
pub fn finish_refolding(tx: &mut Tx<'_>) -> Result<()> {
    let version = version(tx)?.max(VERSION);
    db::set_setting(tx, SETTING, &version.to_string())
}

/// Returns the version by which everything is written. Nobody else writes until this transaction ends.
fn version(tx: &mut Tx<'_>) -> Result<i64> {
    let version = db::setting_for_update(tx, SETTING, "0")?;
    version.parse().map_err(Error::internal)
}

/// Makes search as fast again as it was before much was written.
pub fn merge_words(tx: &mut Tx<'_>) -> Result<()> {
    search::merge(tx)
}
