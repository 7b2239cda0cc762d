//! Links uploaded images to products, and unlinks them.

use super::{deletion_queue, store, uploaded_image::UploadedImage};
use crate::{
    core::{
        error::{Error, Result},
        id::{ImageId, ProductId},
    },
    infra::db::Tx,
};

/// Appends images to those of a product. Returns the product's new number of images.
///
/// Errors: `unavailable` if the upload took so long that an image's deletion has started.
pub fn attach(tx: &mut Tx<'_>, product: ProductId, images: &[UploadedImage]) -> Result<usize> {
    let count = store::count(tx, product)?;
    for (position, image) in (count..).zip(images) {
        deletion_queue::cancel_deletion(tx, image.id)?;
        store::insert(tx, product, position, image)?;
    }
    Ok(usize::try_from(count).unwrap_or_default() + images.len())
}

/// Unlinks an image from its product and queues the deletion of its files. Returns whether the product had it.
pub fn detach(tx: &mut Tx<'_>, product: ProductId, image: ImageId) -> Result<bool> {
    let was_attached = store::delete(tx, product, image)?;
    if was_attached {
        deletion_queue::delete_now(tx, &[image])?;
    }
    Ok(was_attached)
}

/// Like [`detach`], for all images of a product.
pub fn detach_all(tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
    for image in store::of_product(tx, product)? {
        detach(tx, product, image.id)?;
    }
    Ok(())
}

/// Returns the value of the column `products.images`, from the rows of `product_images`.
pub fn images_json(tx: &mut Tx<'_>, product: ProductId) -> Result<String> {
    serde_json::to_string(&store::of_product(tx, product)?).map_err(Error::internal)
}
