//! Updates the search index entries and slugs of products at startup, after a version that computes them differently.

use crate::{
    core::error::Result,
    domain::catalog,
    infra::db::{Db, Tx},
};

/// Progress is logged after each this many products.
const LOG_EVERY: i64 = 20_000;

/// Recomputes the stored sort keys and search terms that an earlier version wrote or that are missing, in
/// batches. If interrupted, the next start continues.
pub(super) async fn update_search_keys(db: &Db) -> Result<()> {
    let begin = db
        .write("catalog.begin_reindex", catalog::begin_reindex)
        .await?;
    let (mut after, mut done, total) = (begin.after, begin.done, begin.total);
    let mut logged = done;
    let from = |after| move |tx: &mut Tx<'_>| catalog::reindex_batch(tx, after);
    while let Some((last, count)) = db.write("catalog.reindex_batch", from(after)).await? {
        if after == begin.after {
            tracing::info!(
                done,
                total,
                "updating the search index entries and slugs of products; if interrupted, the next start continues"
            );
        }
        (after, done) = (last, done + count);
        if done - logged >= LOG_EVERY {
            tracing::info!(
                done,
                total,
                "updating the search index entries and slugs of products"
            );
            logged = done;
        }
    }
    if begin.is_outdated {
        db.write("catalog.finish_reindex", catalog::finish_reindex)
            .await?;
    }
    if after != begin.after {
        db.write("catalog.merge_search_index", catalog::merge_search_index)
            .await?;
        tracing::info!(
            done,
            total,
            "updated the search index entries and slugs of products"
        );
    }
    Ok(())
}
