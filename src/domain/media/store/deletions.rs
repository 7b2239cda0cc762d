//! SQL on the queue of image deletions (table `image_removals`).

use std::collections::BTreeSet;

use super::super::deletion::Deletion;
use crate::{
    core::{clock::Timestamp, error::Result, id::ImageId},
    infra::{
        db::{Sql, Tx, Value, params, placeholders},
        jobs::{BackgroundJob, JobState, MAX_LISTED},
    },
};

/// Queues a deletion, unless one is queued for this image already.
pub(in crate::domain::media) fn enqueue(
    tx: &mut Tx<'_>,
    image: ImageId,
    due: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO image_removals (image_id, due_at, tries) VALUES (?1, ?2, 0)
         ON CONFLICT (image_id) DO NOTHING",
        params![image, due],
    )?;
    Ok(())
}

/// Removes a deletion that has not been attempted. Returns whether there was one.
pub(in crate::domain::media) fn delete_unattempted(
    tx: &mut Tx<'_>,
    image: ImageId,
) -> Result<bool> {
    let deleted = tx.execute(
        "DELETE FROM image_removals WHERE image_id = ?1 AND tries = 0",
        params![image],
    )?;
    Ok(deleted == 1)
}

/// Counts an attempt and leases the deletion until `lease_end`. Returns whether it is queued.
pub(in crate::domain::media) fn claim(
    tx: &mut Tx<'_>,
    image: ImageId,
    lease_end: Timestamp,
) -> Result<bool> {
    let claimed = tx.execute(
        "UPDATE image_removals SET tries = tries + 1, due_at = ?2 WHERE image_id = ?1",
        params![image, lease_end],
    )?;
    Ok(claimed == 1)
}

/// Locks and returns up to `limit` due deletions. A due time after `latest` counts as due.
pub(in crate::domain::media) fn due(
    tx: &mut Tx<'_>,
    latest: Timestamp,
    limit: i64,
) -> Result<Vec<Deletion>> {
    let sql = "SELECT image_id, tries FROM image_removals
        WHERE due_at <= ?1 OR due_at > ?2 ORDER BY due_at, image_id LIMIT ?3";
    tx.all(
        Sql::from(sql).for_update("image_removals"),
        params![tx.now(), latest, limit],
        |row| {
            Ok(Deletion {
                image: row.get(0)?,
                attempts: row.get(1)?,
            })
        },
    )
}

/// Returns whether a deletion is due. A due time after `latest` counts as due.
pub(in crate::domain::media) fn is_any_due(tx: &mut Tx<'_>, latest: Timestamp) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM image_removals WHERE due_at <= ?1 OR due_at > ?2 LIMIT 1",
        params![tx.now(), latest],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Removes a deletion that has succeeded.
pub(in crate::domain::media) fn complete(tx: &mut Tx<'_>, image: ImageId) -> Result<()> {
    tx.execute(
        "DELETE FROM image_removals WHERE image_id = ?1",
        params![image],
    )?;
    Ok(())
}

/// Schedules the next attempt; `error` is that of the last one, if it failed.
pub(in crate::domain::media) fn retry(
    tx: &mut Tx<'_>,
    image: ImageId,
    error: Option<&str>,
    next: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE image_removals SET error = ?2, due_at = ?3 WHERE image_id = ?1",
        params![image, error, next],
    )?;
    Ok(())
}

/// Returns those images that belong to a product or have a queued deletion.
pub(in crate::domain::media) fn referenced(
    tx: &mut Tx<'_>,
    images: &[ImageId],
) -> Result<BTreeSet<ImageId>> {
    if images.is_empty() {
        return Ok(BTreeSet::new());
    }
    let list = placeholders(images.len(), 1);
    let sql = format!(
        "SELECT id FROM product_images WHERE id IN {list}
         UNION SELECT image_id FROM image_removals WHERE image_id IN {list}"
    );
    let ids: Vec<_> = images.iter().map(|image| Value::Id(image.0)).collect();
    let referenced = tx.all(&sql, &ids, |row| row.get(0))?;
    Ok(referenced.into_iter().collect())
}

/// Returns the queued deletions in the order of their due times.
pub(in crate::domain::media) fn jobs(tx: &mut Tx<'_>) -> Result<Vec<BackgroundJob>> {
    tx.all(
        "SELECT image_id, due_at, tries, error FROM image_removals ORDER BY due_at, image_id LIMIT ?1",
        params![MAX_LISTED],
        |row| {
            let image: ImageId = row.get(0)?;
            Ok(BackgroundJob {
                id: image.0,
                kind: "delete-image",
                subject: image.to_string(),
                state: JobState::Waiting,
                due_at: Some(row.get(1)?),
                attempts: row.get(2)?,
                last_error: row.get(3)?,
            })
        },
    )
}

/// Makes a deletion due now. Returns whether one is queued. A deletion that was scheduled for an upload in
/// progress keeps its due time.
pub(in crate::domain::media) fn retry_now(tx: &mut Tx<'_>, image: ImageId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE image_removals SET due_at = CASE WHEN tries > 0 THEN ?2 ELSE due_at END
         WHERE image_id = ?1",
        params![image, tx.now()],
    )?;
    Ok(changed == 1)
}
