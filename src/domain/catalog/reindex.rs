//! Rewrites normalized names and search entries: after an upgrade those of an older normalization version,
//! after a database transfer all search entries, which a transfer does not copy.
//!
//! Products are rewritten in batches, in id order. Each entry records its version, so that an interrupted
//! start resumes where it stopped. Instances that start at the same time take turns. Deleted products are not
//! rewritten: nothing compares them.

use uuid::Uuid;

use super::{
    manage_categories,
    manage_variants::recompute_sku_keys,
    normalize::{VERSION, slug},
    search::{self, FilterAttributes},
    store,
};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
    },
    infra::db::{self, Tx},
};

/// How many products one transaction rewrites.
const BATCH_SIZE: i64 = 500;

/// The setting that holds the [normalization version](VERSION) of everything stored.
const SETTING: &str = "folding";

/// Where to start, and how much is left.
#[derive(Debug, Clone, Copy)]
pub struct Reindexing {
    /// Whether an older version wrote anything.
    pub is_outdated: bool,
    /// The products after this id may be missing or outdated.
    pub after: ProductId,
    /// How many products are up to date.
    pub done: i64,
    /// How many products there are.
    pub total: i64,
}

/// Finds out where to start. Rewrites the keys of categories and SKUs immediately: few of them change.
pub fn begin_reindex(tx: &mut Tx<'_>) -> Result<Reindexing> {
    let version = version_for_update(tx)?;
    let nil = ProductId(Uuid::nil());
    let mut begin = Reindexing {
        is_outdated: version < VERSION || store::has_unversioned(tx)?,
        after: nil,
        done: 0,
        total: store::product_count(tx)?,
    };
    if begin.is_outdated {
        manage_categories::recompute_keys(tx)?;
        recompute_sku_keys(tx)?;
        begin.done = store::count_indexed(tx)?;
    } else {
        begin.after = store::last_indexed(tx)?.unwrap_or(nil);
    }
    Ok(begin)
}

/// Rewrites a batch of products after `after`. Returns the last of them and their number, or `None` when
/// everything is up to date.
pub fn reindex_batch(tx: &mut Tx<'_>, after: ProductId) -> Result<Option<(ProductId, i64)>> {
    version_for_update(tx)?;
    let mut entries = Vec::new();
    let mut outdated_keys = Vec::new();
    store::lock_unindexed(tx, after, BATCH_SIZE, |product| {
        let attributes = FilterAttributes {
            category: product.category,
            price: product.price,
            is_sold_out: product.stock == 0,
        };
        let entry = search::entry(product.id, product.name, product.description, attributes);
        let slug = slug(product.name);
        if entry.name_key != product.name_key || slug != product.slug {
            outdated_keys.push((product.id, entry.name_key.clone(), slug));
        }
        entries.push(entry);
    })?;
    for (id, name_key, slug) in &outdated_keys {
        store::set_name_key(tx, *id, name_key, slug)?;
    }
    let Some(last) = entries.last().map(|entry| entry.product) else {
        return Ok(None);
    };
    let count = i64::try_from(entries.len()).map_err(Error::internal)?;
    search::index(tx, entries)?;
    Ok(Some((last, count)))
}

/// Records that everything is written by the current version.
pub fn finish_reindex(tx: &mut Tx<'_>) -> Result<()> {
    let version = version_for_update(tx)?.max(VERSION);
    db::set_setting(tx, SETTING, &version.to_string())
}

/// Returns the stored version. Its row stays locked, so that one transaction rewrites at a time.
fn version_for_update(tx: &mut Tx<'_>) -> Result<i64> {
    let version = db::setting_for_update(tx, SETTING, "0")?;
    version.parse().map_err(Error::internal)
}
