//! SQL on `product_images`.

use std::collections::BTreeSet;

use super::{deletion::DELETE_IMAGE, product_image::ImageCopy, uploaded_image::UploadedImage};
use crate::{
    core::{
        error::Result,
        finding::{FINDINGS_QUERY_LIMIT, MAX_FINDINGS},
        id::{ImageId, ProductId},
    },
    infra::db::{Row, Tx, Value, params, placeholders},
};

/// Counts the images of a product.
pub(super) fn count(tx: &mut Tx<'_>, product: ProductId) -> Result<i64> {
    let count = tx.one(
        "SELECT count(*) AS count FROM product_images WHERE product_id = ?1",
        params![product],
        |row| row.get("count"),
    )?;
    Ok(count.unwrap_or_default())
}

/// Returns the images of a product in display order.
pub(super) fn of_product(tx: &mut Tx<'_>, product: ProductId) -> Result<Vec<ImageCopy>> {
    tx.all(
        "SELECT id, image_key, width, height, content_type, url FROM product_images
         WHERE product_id = ?1 ORDER BY position, id",
        params![product],
        image_copy,
    )
}

fn image_copy(row: &Row<'_>) -> Result<ImageCopy> {
    Ok(ImageCopy {
        id: row.get("id")?,
        key: row.get("image_key")?,
        width: row.get("width")?,
        height: row.get("height")?,
        content_type: row.get("content_type")?,
        url: row.get("url")?,
    })
}

/// Returns products whose column `images` differs from their rows in `product_images`.
pub(super) fn mismatched_copies(tx: &mut Tx<'_>) -> Result<Vec<ProductId>> {
    let mut mismatched = Vec::new();
    let mut current: Option<(ProductId, String, Vec<ImageCopy>)> = None;
    let mut compare = |product: Option<(ProductId, String, Vec<ImageCopy>)>| {
        let Some((id, copy, images)) = product else {
            return;
        };
        let copy = serde_json::from_str::<Vec<ImageCopy>>(&copy);
        if mismatched.len() < MAX_FINDINGS + 1 && !copy.is_ok_and(|copy| copy == images) {
            mismatched.push(id);
        }
    };
    tx.each(
        "SELECT p.id AS product_id, p.images, i.id, i.image_key, i.width, i.height, i.content_type, i.url
         FROM products p LEFT JOIN product_images i ON i.product_id = p.id
         WHERE p.images <> '[]' OR i.id IS NOT NULL ORDER BY p.id, i.position, i.id",
        &[],
        |row| {
            let id = row.get("product_id")?;
            if current.as_ref().is_none_or(|(product, ..)| *product != id) {
                compare(current.replace((id, row.get("images")?, Vec::new())));
            }
            if let Some((.., images)) = &mut current
                && row.get::<Option<ImageId>>("id")?.is_some()
            {
                images.push(image_copy(row)?);
            }
            Ok(())
        },
    )?;
    compare(current);
    Ok(mismatched)
}

/// Returns images that are queued for deletion although a product has them, with the product.
pub(super) fn in_use_to_delete(tx: &mut Tx<'_>) -> Result<Vec<(ImageId, ProductId)>> {
    tx.all(
        "SELECT i.id, i.product_id FROM jobs j JOIN product_images i ON i.id = j.subject_id
         WHERE j.kind = ?1 ORDER BY i.id LIMIT ?2",
        params![DELETE_IMAGE, FINDINGS_QUERY_LIMIT],
        |row| Ok((row.get("id")?, row.get("product_id")?)),
    )
}

/// An image that the shop itself serves.
#[derive(Debug)]
pub(super) struct ServedImage {
    pub(super) id: ImageId,
    pub(super) key: String,
    pub(super) product: ProductId,
}

/// Returns up to `limit` images that the shop serves, in the order of their keys, after the key `after`.
pub(super) fn served(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<ServedImage>> {
    tx.all(
        "SELECT id, image_key, product_id FROM product_images
         WHERE url IS NULL AND image_key > ?1 ORDER BY image_key LIMIT ?2",
        params![after, limit],
        |row| {
            Ok(ServedImage {
                id: row.get("id")?,
                key: row.get("image_key")?,
                product: row.get("product_id")?,
            })
        },
    )
}

/// Counts the images that an image host serves.
pub(super) fn count_hosted(tx: &mut Tx<'_>) -> Result<i64> {
    let count = tx.one(
        "SELECT count(*) AS count FROM product_images WHERE url IS NOT NULL",
        &[],
        |row| row.get("count"),
    )?;
    Ok(count.unwrap_or_default())
}

/// Returns whether a product has the image.
pub(super) fn exists(tx: &mut Tx<'_>, image: ImageId) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM product_images WHERE id = ?1",
        params![image],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Returns those images that belong to a product.
pub(super) fn attached(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<BTreeSet<ImageId>> {
    if images.is_empty() {
        return Ok(BTreeSet::new());
    }
    let list = placeholders(images.len(), 1);
    let sql = format!("SELECT id FROM product_images WHERE id IN {list}");
    let ids: Vec<_> = images.iter().map(|image| Value::Id(image.0)).collect();
    let attached = tx.all(&sql, &ids, |row| row.get("id"))?;
    Ok(attached.into_iter().collect())
}

/// Inserts the row of an image.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    product: ProductId,
    position: i64,
    image: &UploadedImage,
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
            image.image.content_type(),
            i64::from(image.image.width),
            i64::from(image.image.height),
            image.url.as_deref()
        ],
    )?;
    Ok(())
}

/// Deletes the row of an image. Returns whether there was one.
pub(super) fn delete(tx: &mut Tx<'_>, product: ProductId, image: ImageId) -> Result<bool> {
    let deleted = tx.execute(
        "DELETE FROM product_images WHERE product_id = ?1 AND id = ?2",
        params![product, image],
    )?;
    Ok(deleted == 1)
}
