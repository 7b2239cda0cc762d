//! Creates products: one with images, or many in one call.

use std::time::Duration;

use super::update::copy_images;
use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
        event::StockChange,
        id::ProductId,
        money::Stock,
    },
    domain::{
        catalog::{
            batch::{BATCH_ROWS, BatchEffects},
            get::product,
            manage_categories::check_category,
            normalize::{normalize, slug},
            product::{NewProduct, Product},
            search::{self, FilterAttributes},
            stock::{Cause, Movement},
            store::{self, ProductColumns, ProductRow},
        },
        media::{self, UploadedImage},
    },
    infra::db::Tx,
};

/// Creates a product with images that are in the image store already. Errors: `validation-failed` with
/// `unknown-category`.
pub fn create(
    tx: &mut Tx<'_>,
    new: &NewProduct,
    images: &[UploadedImage],
) -> Result<Product<'static>> {
    let id = tx.id();
    check_category(tx, new.category)?;
    let (name, description) = (new.name.as_str(), new.description.as_str());
    store::insert(
        tx,
        id,
        &ProductColumns {
            name,
            name_key: &normalize(name),
            slug: &slug(name),
            description,
            price: new.price,
            category: new.category,
        },
        new.stock,
    )?;
    store::insert_variants(tx, &[id])?;
    let attributes = FilterAttributes {
        category: new.category,
        price: new.price,
        is_sold_out: new.stock == Stock::NONE,
    };
    search::index(tx, vec![search::entry(id, name, description, attributes)])?;
    store::add_to_product_count(tx, 1)?;
    store::add_to_category_count(tx, new.category, 1)?;
    if !images.is_empty() {
        media::attach(tx, id, images)?;
        copy_images(tx, id)?;
    }
    store::insert_movements(tx, &[Movement::of(Cause::Create, id, new.stock.get())])?;
    tx.emit_stock(&[StockChange::now(id, new.stock.get())])?;
    let created = product(tx, id)?;
    tx.audit(Action::ProductCreate, Some(&id), || {
        Changes::between(None, Some(&created))
    })?;
    Ok(created)
}

/// Creates many products without images and returns their ids. Their creation times are one second apart;
/// the last is now.
pub fn create_all(tx: &mut Tx<'_>, new: &[NewProduct]) -> Result<Vec<ProductId>> {
    let mut effects = BatchEffects::default();
    let mut ids = Vec::with_capacity(new.len());
    for batch in new.chunks(BATCH_ROWS) {
        let keys: Vec<_> = batch
            .iter()
            .map(|new| (normalize(new.name.as_str()), slug(new.name.as_str())))
            .collect();
        let mut rows = Vec::with_capacity(batch.len());
        for (product, (name_key, slug)) in batch.iter().zip(&keys) {
            let newer = (new.len() - ids.len() - 1) as u64;
            let at = tx.now().minus(Duration::from_secs(newer));
            let id = ProductId(tx.rng().uuid(at));
            ids.push(id);
            effects.add_created(Cause::Create, id, product.stock.get(), product.category);
            rows.push(ProductRow {
                id,
                at,
                stock: product.stock.get(),
                columns: ProductColumns {
                    name: product.name.as_str(),
                    name_key,
                    slug,
                    description: product.description.as_str(),
                    price: product.price,
                    category: product.category,
                },
            });
        }
        store::insert_all(tx, &rows)?;
        let ids: Vec<ProductId> = rows.iter().map(|row| row.id).collect();
        store::insert_variants(tx, &ids)?;
        search::index_rows(tx, &rows)?;
    }
    effects.write(tx)?;
    Ok(ids)
}
