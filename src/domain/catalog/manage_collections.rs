//! Creates, updates, deletes and finds collections. Names need not be unique; slugs are, and never change.

use std::collections::HashSet;

use super::{
    batch::BATCH_ROWS,
    collection::{
        Collection, CollectionChanges, CollectionWithProducts, MAX_PRODUCTS, NewCollection,
    },
    normalize::unused_slug,
    store,
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Field, Result},
        id::{CollectionId, ProductId},
    },
    infra::db::Tx,
};

/// The maximum number of wrong products that an error names.
const MAX_ERRORS: usize = 100;

/// Returns all collections, ordered by their creation.
pub fn collections(tx: &mut Tx<'_>) -> Result<Vec<Collection>> {
    store::collections(tx)
}

/// Returns a collection with its products. Errors: `not-found`.
pub fn collection(tx: &mut Tx<'_>, id: CollectionId) -> Result<CollectionWithProducts> {
    let collection = store::collection_by_id(tx, id)?.ok_or_else(not_found)?;
    Ok(CollectionWithProducts {
        collection,
        product_ids: store::products_of_collection(tx, id)?,
    })
}

/// Returns the id of the collection with this id or slug.
pub fn collection_id(tx: &mut Tx<'_>, text: &str) -> Result<Option<CollectionId>> {
    store::collection_by_id_or_slug(tx, text)
}

/// Creates a collection. Errors: a field error for each product that does not exist or appears twice.
pub fn create_collection(tx: &mut Tx<'_>, new: &NewCollection) -> Result<CollectionWithProducts> {
    check_products(tx, &new.products)?;
    let id = tx.id();
    let name = new.name.as_str();
    let slug = unused_slug(name, |slug| {
        Ok(store::collection_by_id_or_slug(tx, slug)?.is_some())
    })?;
    store::insert_collection(tx, id, name, &slug, new.description.as_str())?;
    add_products(tx, id, &new.products)?;
    let created = collection(tx, id)?;
    tx.audit(Action::CollectionCreate, Some(&id), || {
        Changes::between(None, Some(&created))
    })?;
    Ok(created)
}

/// Updates a collection. Errors: `not-found`; a field error for each product that does not exist or appears twice.
pub fn update_collection(
    tx: &mut Tx<'_>,
    id: CollectionId,
    changes: &CollectionChanges,
) -> Result<CollectionWithProducts> {
    store::lock_collection(tx, id)?;
    let current = collection(tx, id)?;
    if let Some(products) = &changes.products {
        check_products(tx, products)?;
    }
    let before = &current.collection;
    let name = changes
        .name
        .as_ref()
        .map_or(&*before.name, |name| name.as_str());
    let description = changes.description.as_ref();
    let description = description.map_or(&*before.description, |text| text.as_str());
    store::update_collection(tx, id, name, description)?;
    if let Some(products) = &changes.products {
        store::remove_products_of_collection(tx, id, &current.product_ids)?;
        add_products(tx, id, products)?;
    }
    let updated = collection(tx, id)?;
    tx.audit(Action::CollectionUpdate, Some(&id), || {
        Changes::between(Some(&current), Some(&updated))
    })?;
    Ok(updated)
}

/// Deletes a collection; its products stay. Errors: `not-found`.
pub fn delete_collection(tx: &mut Tx<'_>, id: CollectionId) -> Result<()> {
    store::lock_collection(tx, id)?;
    let current = collection(tx, id)?;
    store::remove_products_of_collection(tx, id, &current.product_ids)?;
    store::delete_collection(tx, id)?;
    tx.audit(Action::CollectionDelete, Some(&id), || {
        Changes::between(Some(&current), None)
    })
}

/// Adds products to a collection that has none.
fn add_products(tx: &mut Tx<'_>, id: CollectionId, products: &[ProductId]) -> Result<()> {
    let mut position = 0;
    for batch in products.chunks(BATCH_ROWS) {
        store::add_products_to_collection(tx, id, position, batch)?;
        position += i64::try_from(batch.len()).map_err(Error::internal)?;
    }
    Ok(())
}

fn check_products(tx: &mut Tx<'_>, products: &[ProductId]) -> Result<()> {
    if products.len() > MAX_PRODUCTS {
        let message = format!("a collection has at most {MAX_PRODUCTS} products");
        return Err(Error::field("productIds", "too-many", message));
    }
    let mut existing = HashSet::new();
    for batch in products.chunks(BATCH_ROWS) {
        existing.extend(store::existing_products(tx, batch)?);
    }
    let mut seen = HashSet::new();
    let wrong = products.iter().enumerate().filter_map(|(at, product)| {
        let (code, message) = if !existing.contains(product) {
            ("unknown-product", "product not found")
        } else if seen.insert(product) {
            return None;
        } else {
            ("duplicate", "is in the list already")
        };
        Some(Field::new(format!("productIds[{at}]"), code, message))
    });
    Error::unless_empty(wrong.take(MAX_ERRORS).collect())
}

fn not_found() -> Error {
    Error::not_found("collection")
}
