//! Pictures of products as rows, and those that the store is to lose.

use std::collections::BTreeSet;

use super::{Kept, Stored, removal::Removal};
use crate::{
    args,
    clock::Timestamp,
    db::{Sql, Tx, Value, rows_of},
    error::Result,
    id::{ImageId, ProductId},
};

pub(super) fn count(tx: &mut Tx<'_>, product: ProductId) -> Result<i64> {
    let last = tx.one(
        "SELECT count(*) FROM product_images WHERE product_id = ?1",
        args![product],
        |row| row.get(0),
    )?;
    Ok(last.unwrap_or_default())
}

pub(super) fn of_product(tx: &mut Tx<'_>, product: ProductId) -> Result<Vec<Kept>> {
    tx.all(
        "SELECT id, image_key, width, height, content_type, url FROM product_images
         WHERE product_id = ?1 ORDER BY position, id",
        args![product],
        |row| {
            Ok(Kept {
                id: row.get(0)?,
                key: row.get(1)?,
                width: row.get(2)?,
                height: row.get(3)?,
                content_type: row.get(4)?,
                url: row.get(5)?,
            })
        },
    )
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
        args![
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
        args![product, image],
    )?;
    Ok(deleted == 1)
}

/// Notes that the store is to lose a picture, from that moment on.
pub(super) fn note(tx: &mut Tx<'_>, image: ImageId, due: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO image_removals (image_id, due_at, tries) VALUES (?1, ?2, 0)
         ON CONFLICT (image_id) DO NOTHING",
        args![image, due],
    )?;
    Ok(())
}

/// Forgets the note of a picture that no removal has begun of; tells whether it was there.
pub(super) fn cross_out(tx: &mut Tx<'_>, image: ImageId) -> Result<bool> {
    let forgotten = tx.execute(
        "DELETE FROM image_removals WHERE image_id = ?1 AND tries = 0",
        args![image],
    )?;
    Ok(forgotten == 1)
}

/// Begins a try: nobody else tries before `until`. Tells whether there is a note.
pub(super) fn claim(tx: &mut Tx<'_>, image: ImageId, until: Timestamp) -> Result<bool> {
    let claimed = tx.execute(
        "UPDATE image_removals SET tries = tries + 1, due_at = ?2 WHERE image_id = ?1",
        args![image, until],
    )?;
    Ok(claimed == 1)
}

/// Those whose time has come, held by this transaction so that of several instances one gets each.
pub(super) fn due(tx: &mut Tx<'_>, absurd: Timestamp, most: i64) -> Result<Vec<Removal>> {
    let sql = "SELECT image_id, tries FROM image_removals
        WHERE due_at <= ?1 OR due_at > ?2 ORDER BY due_at, image_id LIMIT ?3";
    tx.all(
        Sql::from(sql).locking("image_removals"),
        args![tx.now(), absurd, most],
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
        args![tx.now(), absurd],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(super) fn removed(tx: &mut Tx<'_>, image: ImageId) -> Result<()> {
    tx.execute(
        "DELETE FROM image_removals WHERE image_id = ?1",
        args![image],
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
        args![image, why, next],
    )?;
    Ok(())
}

/// Those of the pictures that a row names, be it of a product or to be removed.
pub(super) fn known(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<BTreeSet<ImageId>> {
    if images.is_empty() {
        return Ok(BTreeSet::new());
    }
    let list = rows_of(images.len(), 1);
    let sql = format!(
        "SELECT id FROM product_images WHERE id IN {list}
         UNION SELECT image_id FROM image_removals WHERE image_id IN {list}"
    );
    let ids: Vec<_> = images.iter().map(|image| Value::Id(image.0)).collect();
    let known = tx.all(&sql, &ids, |row| row.get(0))?;
    Ok(known.into_iter().collect())
}
