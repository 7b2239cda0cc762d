//! Pictures of products as rows.

use super::{Kept, Stored};
use crate::{
    args,
    db::Tx,
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
        "SELECT id, image_key, width, height, content_type FROM product_images
         WHERE product_id = ?1 ORDER BY position, id",
        args![product],
        |row| {
            Ok(Kept {
                id: row.get(0)?,
                key: row.get(1)?,
                width: row.get(2)?,
                height: row.get(3)?,
                content_type: row.get(4)?,
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
             (id, product_id, position, image_key, content_type, width, height)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        args![
            image.id,
            product,
            position,
            &image.key,
            image.picture.content_type(),
            i64::from(image.picture.width),
            i64::from(image.picture.height)
        ],
    )?;
    Ok(())
}

pub(super) fn delete(
    tx: &mut Tx<'_>,
    product: ProductId,
    image: ImageId,
) -> Result<Option<String>> {
    tx.one(
        "DELETE FROM product_images WHERE product_id = ?1 AND id = ?2 RETURNING image_key",
        args![product, image],
        |row| row.get(0),
    )
}
