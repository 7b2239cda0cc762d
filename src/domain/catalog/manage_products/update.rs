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
            get::{only_variant, product, product_for_update},
            kept_values,
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
/// has checked `If-Match`. Errors: `invalid-image` past the maximum number of images, `unknown-category`,
/// `variant-required` for price or stock of a product with several variants.
pub fn update(
    tx: &mut Tx<'_>,
    current: &Product<'_>,
    changes: &Changes,
    images: &[UploadedImage],
) -> Result<Product<'static>> {
    if changes.price.is_some() || changes.stock.is_some() {
        update_only_variant(tx, current, changes, images)?;
    } else {
        update_columns(tx, current, changes, images)?;
    }
    let updated = product(tx, current.id)?;
    tx.audit(Action::ProductUpdate, Some(&current.id), || {
        Audited::between(Some(current), Some(&updated))
    })?;
    Ok(updated)
}

/// Updates a product with a single variant, whose price or stock changes.
fn update_only_variant(
    tx: &mut Tx<'_>,
    current: &Product<'_>,
    changes: &Changes,
    images: &[UploadedImage],
) -> Result<()> {
    let variant = only_variant(tx, current.id)?;
    if variant.options.is_empty() {
        update_columns(tx, current, changes, images)?;
        let Some(stock) = changes.stock else {
            return Ok(());
        };
        return change_stock::set_stock(tx, &variant, stock);
    }
    kept_values::set_price_and_stock(tx, &variant, changes.price, changes.stock)?;
    let updated = only_variant(tx, current.id)?;
    tx.audit(Action::VariantUpdate, Some(&variant.id), || {
        Audited::between(Some(&variant), Some(&updated))
    })?;
    let others = Changes {
        price: None,
        stock: None,
        ..changes.clone()
    };
    let current = product(tx, current.id)?;
    update_columns(tx, &current, &others, images)
}

/// Updates everything except the stock.
fn update_columns(
    tx: &mut Tx<'_>,
    current: &Product<'_>,
    changes: &Changes,
    images: &[UploadedImage],
) -> Result<()> {
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
    Ok(())
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
