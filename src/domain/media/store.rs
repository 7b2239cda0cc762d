//! Pictures of products as rows, and those that the store is to lose.

use std::collections::BTreeSet;

use super::{Kept, Stored, removal::Removal};
use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        finding::MOST,
        id::{ImageId, ProductId},
    },
    infra::{
        db::{Row, Sql, Tx, Value, params, placeholders},
        jobs::{BackgroundJob, JobState, MAX_LISTED},
    },
};

pub(super) fn count(tx: &mut Tx<'_>, product: ProductId) -> Result<i64> {
    let last = tx.one(
        "SELECT count(*) FROM product_images WHERE product_id = ?1",
        params![product],
        |row| row.get(0),
    )?;
    Ok(last.unwrap_or_default())
}

pub(super) fn of_product(tx: &mut Tx<'_>, product: ProductId) -> Result<Vec<Kept>> {
    tx.all(
        "SELECT id, image_key, width, height, content_type, url FROM product_images
         WHERE product_id = ?1 ORDER BY position, id",
        params![product],
        |row| kept(row, 0),
    )
}

/// Reads a picture from the column `at` on.
fn kept(row: &Row<'_>, at: usize) -> Result<Kept> {
    Ok(Kept {
        id: row.get(at)?,
        key: row.get(at + 1)?,
        width: row.get(at + 2)?,
        height: row.get(at + 3)?,
        content_type: row.get(at + 4)?,
        url: row.get(at + 5)?,
    })
}

/// Products that keep something else of their pictures than the pictures' own rows say.
pub(super) fn wrong_copies(tx: &mut Tx<'_>) -> Result<Vec<ProductId>> {
    let mut wrong = Vec::new();
    let mut current: Option<(ProductId, String, Vec<Kept>)> = None;
    let mut close = |product: Option<(ProductId, String, Vec<Kept>)>| {
        let Some((id, copy, pictures)) = product else {
            return;
        };
        let copy = serde_json::from_str::<Vec<Kept>>(&copy);
        if wrong.len() < MOST + 1 && !copy.is_ok_and(|copy| copy == pictures) {
            wrong.push(id);
        }
    };
    tx.each(
        "SELECT p.id, p.images, i.id, i.image_key, i.width, i.height, i.content_type, i.url
         FROM products p LEFT JOIN product_images i ON i.product_id = p.id
         WHERE p.images <> '[]' OR i.id IS NOT NULL ORDER BY p.id, i.position, i.id",
        &[],
        |row| {
            let id = row.get(0)?;
            if current.as_ref().is_none_or(|(product, ..)| *product != id) {
                close(current.replace((id, row.get(1)?, Vec::new())));
            }
            if let Some((.., pictures)) = &mut current
                && row.get::<Option<ImageId>>(2)?.is_some()
            {
                pictures.push(kept(row, 2)?);
            }
            Ok(())
        },
    )?;
    close(current);
    Ok(wrong)
}

/// A picture that the shop serves, and the product that shows it.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) id: ImageId,
    pub(super) key: String,
    pub(super) product: ProductId,
}

/// Some of the pictures that the shop serves, those behind a key.
pub(super) fn served(tx: &mut Tx<'_>, after: &str, most: i64) -> Result<Vec<Served>> {
    tx.all(
        "SELECT id, image_key, product_id FROM product_images
         WHERE url IS NULL AND image_key > ?1 ORDER BY image_key LIMIT ?2",
        params![after, most],
        |row| {
            Ok(Served {
                id: row.get(0)?,
                key: row.get(1)?,
                product: row.get(2)?,
            })
        },
    )
}

/// How many pictures are to be had elsewhere.
pub(super) fn count_elsewhere(tx: &mut Tx<'_>) -> Result<i64> {
    let count = tx.one(
        "SELECT count(*) FROM product_images WHERE url IS NOT NULL",
        &[],
        |row| row.get(0),
    )?;
    Ok(count.unwrap_or_default())
}

/// Whether a product still has a picture.
pub(super) fn is_there(tx: &mut Tx<'_>, image: ImageId) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM product_images WHERE id = ?1",
        params![image],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(super) fn insert(
    tx: &mut Tx<'_>,
    product: ProductId,
    position: i64,
    image: &Stored,
) -> Result<()> {
    tx.execute(
        "INSERT INTO product_images
             (id, product_id, position, image_key, content_type, width, height, url)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            image.id,
            product,
            position,
            &image.key,
            image.picture.content_type(),
            i64::from(image.picture.width),
            i64::from(image.picture.height),
            image.url.as_deref()
        ],
    )?;
    Ok(())
}

pub(super) fn delete(tx: &mut Tx<'_>, product: ProductId, image: ImageId) -> Result<bool> {
    let deleted = tx.execute(
        "DELETE FROM product_images WHERE product_id = ?1 AND id = ?2",
        params![product, image],
    )?;
    Ok(deleted == 1)
}

/// Notes that the store is to lose a picture, from that moment on.
pub(super) fn note(tx: &mut Tx<'_>, image: ImageId, due: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO image_removals (image_id, due_at, tries) VALUES (?1, ?2, 0)
         ON CONFLICT (image_id) DO NOTHING",
        params![image, due],
    )?;
    Ok(())
}

/// Forgets the note of a picture that no removal has begun of; tells whether it was there.
pub(super) fn cross_out(tx: &mut Tx<'_>, image: ImageId) -> Result<bool> {
    let forgotten = tx.execute(
        "DELETE FROM image_removals WHERE image_id = ?1 AND tries = 0",
        params![image],
    )?;
    Ok(forgotten == 1)
}

/// Begins a try: nobody else tries before `until`. Tells whether there is a note.
pub(super) fn claim(tx: &mut Tx<'_>, image: ImageId, until: Timestamp) -> Result<bool> {
    let claimed = tx.execute(
        "UPDATE image_removals SET tries = tries + 1, due_at = ?2 WHERE image_id = ?1",
        params![image, until],
    )?;
    Ok(claimed == 1)
}

/// Those whose time has come, held by this transaction so that of several instances one gets each.
pub(super) fn due(tx: &mut Tx<'_>, absurd: Timestamp, most: i64) -> Result<Vec<Removal>> {
    let sql = "SELECT image_id, tries FROM image_removals
        WHERE due_at <= ?1 OR due_at > ?2 ORDER BY due_at, image_id LIMIT ?3";
    tx.all(
        Sql::from(sql).for_update("image_removals"),
        params![tx.now(), absurd, most],
        |row| {
            Ok(Removal {
                id: row.get(0)?,
                tries: row.get(1)?,
            })
        },
    )
}

/// Whether the time of any has come.
pub(super) fn is_any_due(tx: &mut Tx<'_>, absurd: Timestamp) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM image_removals WHERE due_at <= ?1 OR due_at > ?2 LIMIT 1",
        params![tx.now(), absurd],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(super) fn removed(tx: &mut Tx<'_>, image: ImageId) -> Result<()> {
    tx.execute(
        "DELETE FROM image_removals WHERE image_id = ?1",
        params![image],
    )?;
    Ok(())
}

/// The next try is due at `next`; `why` the last one failed, if it did.
pub(super) fn retry(
    tx: &mut Tx<'_>,
    image: ImageId,
    why: Option<&str>,
    next: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE image_removals SET error = ?2, due_at = ?3 WHERE image_id = ?1",
        params![image, why, next],
    )?;
    Ok(())
}

/// Those of the pictures that a row names, be it of a product or to be removed.
pub(super) fn known(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<BTreeSet<ImageId>> {
    if images.is_empty() {
        return Ok(BTreeSet::new());
    }
    let list = placeholders(images.len(), 1);
    let sql = format!(
        "SELECT id FROM product_images WHERE id IN {list}
         UNION SELECT image_id FROM image_removals WHERE image_id IN {list}"
    );
    let ids: Vec<_> = images.iter().map(|image| Value::Id(image.0)).collect();
    let known = tx.all(&sql, &ids, |row| row.get(0))?;
    Ok(known.into_iter().collect())
}

/// What is to be removed, by when it is due.
pub(super) fn removal_jobs(tx: &mut Tx<'_>) -> Result<Vec<BackgroundJob>> {
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

/// Makes a removal due now. Returns whether there is one. The removal that an upload in progress has announced
/// keeps its time.
pub(super) fn retry_removal(tx: &mut Tx<'_>, image: ImageId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE image_removals SET due_at = CASE WHEN tries > 0 THEN ?2 ELSE due_at END
         WHERE image_id = ?1",
        params![image, tx.now()],
    )?;
    Ok(changed == 1)
}
