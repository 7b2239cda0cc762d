//! Products: made, shown, changed, and taken from the catalog without leaving past orders.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    CategoryRef, Cause, Filters, Movement,
    fold::{fold, slug},
    search, stock,
    store::{self, Reached, search::Facts},
};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
        event::StockChange,
        id::{CategoryId, ImageId, ProductId},
        money::{Price, Stock},
        pagination::ListRequest,
        text::short_texts,
    },
    domain::media::{self, Image, Stored},
    infra::db::Tx,
};

short_texts! {
    /// A product's name.
    ProductName
}

/// A product's description: up to 10,000 characters, line breaks included, no NUL character.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, max_length = 10_000, pattern = r"^[^\u0000]*$")]
pub struct Description(String);

impl TryFrom<String> for Description {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.chars().count() > 10_000 {
            Err("must be at most 10,000 characters".to_owned())
        } else if text.contains('\0') {
            Err("must not contain a NUL character".to_owned())
        } else {
            Ok(Description(text))
        }
    }
}

impl Description {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A product as the catalog shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Product<'a> {
    pub id: ProductId,
    pub name: Cow<'a, str>,
    pub slug: Cow<'a, str>,
    pub description: Cow<'a, str>,
    /// In the currency's minor unit.
    pub price: Price,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    pub stock_quantity: i64,
    pub images: Vec<Image>,
    #[schema(required)]
    pub category_id: Option<CategoryId>,
    #[schema(required)]
    pub category: Option<CategoryRef<'a>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Product<'_> {
    /// The same, with texts of its own.
    pub fn into_owned(self) -> Product<'static> {
        Product {
            name: Cow::Owned(self.name.into_owned()),
            slug: Cow::Owned(self.slug.into_owned()),
            description: Cow::Owned(self.description.into_owned()),
            category: self.category.map(CategoryRef::into_owned),
            id: self.id,
            price: self.price,
            currency: self.currency,
            stock_quantity: self.stock_quantity,
            images: self.images,
            category_id: self.category_id,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// What a new product needs.
#[derive(Debug, Clone)]
pub struct NewProduct {
    pub name: ProductName,
    pub description: Description,
    pub price: Price,
    pub stock: Stock,
    pub category: Option<CategoryId>,
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub name: Option<ProductName>,
    pub description: Option<Description>,
    pub price: Option<Price>,
    pub stock: Option<Stock>,
    pub category: Option<Option<CategoryId>>,
}

/// Puts a product into the catalog, with pictures that are in the store already.
pub fn create(
    tx: &mut Tx<'_>,
    app: &App,
    new: &NewProduct,
    images: &[Stored],
) -> Result<Product<'static>> {
    let id = tx.id();
    check_category(tx, new.category)?;
    store::insert(
        tx,
        id,
        &store::Columns {
            name: &new.name.0,
            name_key: &fold(&new.name.0),
            slug: &slug(&new.name.0),
            description: &new.description.0,
            price: new.price,
            category: new.category,
        },
        new.stock,
    )?;
    let facts = Facts {
        category: new.category,
        price: new.price,
        is_sold_out: new.stock == Stock::NONE,
    };
    let entry = search::entry(id, &new.name.0, &new.description.0, facts);
    store::search::write(tx, vec![entry])?;
    store::count_in(tx, new.category, 1)?;
    if !images.is_empty() {
        media::attach(tx, id, images)?;
        show_images(tx, id)?;
    }
    store::insert_movements(tx, &[Movement::of(Cause::Create, id, new.stock.get())])?;
    tx.emit_stock(&[StockChange::now(id, new.stock.get())])?;
    product(tx, app, id)
}

/// The pictures that a product's row tells of.
pub fn images(kept: &str, app: &App) -> Result<Vec<Image>> {
    media::shown(kept, &app.public_url)
}

/// A product of the catalog.
pub fn product(tx: &mut Tx<'_>, app: &App, id: ProductId) -> Result<Product<'static>> {
    store::by_id(tx, app, id)?.ok_or_else(|| Error::not_found("product"))
}

/// As [`product`], and what it says holds until the transaction ends.
pub fn product_to_change(tx: &mut Tx<'_>, app: &App, id: ProductId) -> Result<Product<'static>> {
    store::hold(tx, id)?;
    product(tx, app, id)
}

/// Hands over one part of the catalog, each product as it is read, and tells how many match in all, or
/// where a walk goes on.
pub fn list(
    tx: &mut Tx<'_>,
    app: &App,
    filters: &Filters,
    part: &ListRequest,
    each: impl FnMut(Product<'_>) -> Result<()>,
) -> Result<Reached> {
    store::list(tx, app, filters, part, each)
}

/// Changes a product, whatever it was; `current` is that of [`product_to_change`]. The caller has seen
/// to `If-Match`.
pub fn update(
    tx: &mut Tx<'_>,
    app: &App,
    current: &Product<'_>,
    changes: &Changes,
    images: &[Stored],
) -> Result<Product<'static>> {
    let category = changes.category.unwrap_or(current.category_id);
    if category != current.category_id {
        check_category(tx, category)?;
        // In the order of ids, so that two products that change places never wait for each other.
        let mut counts = [(current.category_id, -1), (category, 1)];
        counts.sort_unstable();
        for (category, by) in counts {
            store::count_in(tx, category, by)?;
        }
    }
    let name = changes
        .name
        .as_ref()
        .map_or(current.name.as_ref(), |name| &name.0);
    let description = changes
        .description
        .as_ref()
        .map_or(current.description.as_ref(), |text| &text.0);
    let price = changes.price.unwrap_or(current.price);
    store::update(
        tx,
        current.id,
        &store::Columns {
            name,
            name_key: &fold(name),
            slug: &slug(name),
            description,
            price,
            category,
        },
    )?;
    let says_the_same = name == current.name && description == current.description;
    let stands_the_same = price == current.price && category == current.category_id;
    // Where others write too, search keeps words only.
    if !says_the_same || (!stands_the_same && tx.is_single_writer()) {
        let facts = Facts {
            category,
            price,
            is_sold_out: current.stock_quantity == 0,
        };
        let entry = search::entry(current.id, name, description, facts);
        store::search::write(tx, vec![entry])?;
    }
    if !images.is_empty() {
        let count = media::attach(tx, current.id, images)?;
        if count > media::MOST_IMAGES {
            let detail = format!("`images`: a product has at most {}", media::MOST_IMAGES);
            return Err(Error::new(Kind::Invalid("invalid-image"), detail));
        }
        show_images(tx, current.id)?;
    }
    if let Some(stock) = changes.stock {
        stock::set(tx, current, stock)?;
    }
    product(tx, app, current.id)
}

/// Takes a picture from a product; the store loses it later.
pub fn remove_image(
    tx: &mut Tx<'_>,
    app: &App,
    id: ProductId,
    image: ImageId,
) -> Result<Product<'static>> {
    let current = product_to_change(tx, app, id)?;
    if !media::detach(tx, id, image)? {
        return Err(Error::not_found("image"));
    }
    show_images(tx, id)?;
    update(tx, app, &current, &Changes::default(), &[])
}

/// Takes a product out of the catalog and out of carts. Past orders keep what they say of it.
pub fn delete(tx: &mut Tx<'_>, app: &App, id: ProductId) -> Result<()> {
    let current = product_to_change(tx, app, id)?;
    if !current.images.is_empty() {
        media::detach_all(tx, id)?;
        show_images(tx, id)?;
    }
    store::delete(tx, id)?;
    store::search::remove(tx, id)?;
    store::count_in(tx, current.category_id, -1)?;
    tx.emit_stock(&[StockChange::deleted(id)])
}

/// Writes into the product's row what it shows of its pictures.
pub(super) fn show_images(tx: &mut Tx<'_>, id: ProductId) -> Result<()> {
    let images = media::written(tx, id)?;
    store::keep_images(tx, id, &images)
}

fn check_category(tx: &mut Tx<'_>, category: Option<CategoryId>) -> Result<()> {
    let Some(id) = category else { return Ok(()) };
    match store::category_by_id(tx, id)? {
        Some(_) => Ok(()),
        None => Err(Error::field(
            "categoryId",
            "unknown-category",
            "there is no such category",
        )),
    }
}
