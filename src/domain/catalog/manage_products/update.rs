//! Updates products and removes single images.

use serde_json::Value;

use crate::{
    core::{
        audit::{Action, Changes as Audited},
        error::{Error, Result},
        id::{ImageId, ProductId},
    },
    domain::{
        catalog::{
            change_stock,
            get::{product, product_for_update},
            manage_categories::check_category,
            normalize::{normalize, slug},
            product::{Changes, Product},
            search::{self, FilterAttributes},
            store::{self, ProductColumns},
        },
        media::{self, UploadedImage},
    },
    infra::db::Tx,
};

/// Updates a product and appends images to it. `current` is the result of [`product_for_update`]; the caller
/// has checked `If-Match`. Errors: `invalid-image` past the maximum number of images, `unknown-category`.
pub fn update(
    tx: &mut Tx<'_>,
    current: &Product<'_>,
    changes: &Changes,
    images: &[UploadedImage],
) -> Result<Product<'static>> {
    let category = changes.category.unwrap_or(current.category_id);
    if category != current.category_id {
        check_category(tx, category)?;
        // Rows are locked in id order, so that two products swapping categories cannot deadlock.
        let mut counts = [(current.category_id, -1), (category, 1)];
        counts.sort_unstable();
        for (category, by) in counts {
            store::add_to_category_count(tx, category, by)?;
        }
    }
    let name = changes
        .name
        .as_ref()
        .map_or(current.name.as_ref(), |name| name.as_str());
    let description = changes
        .description
        .as_ref()
        .map_or(current.description.as_ref(), |text| text.as_str());
    let price = changes.price.unwrap_or(current.price);
    store::update(
        tx,
        current.id,
        &ProductColumns {
            name,
            name_key: &normalize(name),
            slug: &slug(name),
            description,
            price,
            category,
        },
    )?;
    let text_changed = name != current.name || description != current.description;
    let attributes_changed = price != current.price || category != current.category_id;
    if text_changed || (attributes_changed && search::indexes_filter_terms(tx)) {
        let attributes = FilterAttributes {
            category,
            price,
            is_sold_out: current.stock_quantity == 0,
        };
        let entry = search::entry(current.id, name, description, attributes);
        search::index(tx, vec![entry])?;
    }
    if !images.is_empty() {
        let count = media::attach(tx, current.id, images)?;
        if count > media::MAX_IMAGES_PER_PRODUCT {
            let detail = format!(
                "`images`: a product has at most {}",
                media::MAX_IMAGES_PER_PRODUCT
            );
            return Err(media::problems::INVALID_IMAGE.error(detail));
        }
        copy_images(tx, current.id)?;
    }
    if let Some(stock) = changes.stock {
        change_stock::set_stock(tx, current, stock)?;
    }
    let updated = product(tx, current.id)?;
    tx.audit(Action::ProductUpdate, Some(&current.id), || {
        Audited::between(Some(current), Some(&updated))
    })?;
    Ok(updated)
}

/// Removes an image from a product. The image store deletes it after the commit. Errors: `not-found`.
pub fn remove_image(tx: &mut Tx<'_>, id: ProductId, image: ImageId) -> Result<Product<'static>> {
    let current = product_for_update(tx, id)?;
    if !media::detach(tx, id, image)? {
        return Err(Error::not_found("image"));
    }
    remove_image_from_variants(tx, id, image)?;
    copy_images(tx, id)?;
    update(tx, &current, &Changes::default(), &[])
}

fn remove_image_from_variants(tx: &mut Tx<'_>, id: ProductId, image: ImageId) -> Result<()> {
    let variants = store::variants_of(tx, id)?.into_iter();
    for variant in variants.filter(|variant| variant.image_id == Some(image)) {
        tx.audit(Action::VariantUpdate, Some(&variant.id), || {
            Audited::none().field("imageId", image, Value::Null)
        })?;
    }
    store::remove_image_from_variants(tx, id, image)
}

/// Updates the copy of a product's images in its own row.
pub(in crate::domain::catalog) fn copy_images(tx: &mut Tx<'_>, id: ProductId) -> Result<()> {
    let images = media::images_json(tx, id)?;
    store::set_images(tx, id, &images)
}
