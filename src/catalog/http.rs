//! The routes of categories and products.

use std::sync::Arc;

use axum::{
    extract::{OriginalUri, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{
    Category, CategoryName, Changes, Delta, Description, Filters, NewProduct, Product, ProductName,
    Sort,
};
use crate::{
    accounts::{self, http::Admin},
    error::{Error, Kind, Result},
    id::{CategoryId, ImageId, ProductId},
    media::{self, Picture, Stored, http::Upload},
    money::{Price, Stock},
    page::{Page, PageRequest},
    web::{
        App, Routes, State,
        extract::{
            Condition, JSON_LIMIT, Json, NoQuery, Path, Query, RawJson, is_json, parse_json,
            parse_value, read_body,
        },
        idempotency::{self, Answer, IdempotencyKey},
        respond::{self, INVENTORY_SEQ, WrittenRows, etag},
    },
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_categories, create_category))
        .routes(routes!(update_category, delete_category))
        .routes(routes!(list_products, create_product))
        .routes(routes!(get_product, update_product, delete_product))
        .routes(routes!(add_product_images))
        .routes(routes!(delete_product_image))
        .routes(routes!(change_product_stock))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Categories {
    data: Vec<Category>,
}

/// All categories, by name
#[utoipa::path(get, path = "/categories", tag = "catalog",
    responses((status = 200, body = Categories)))]
pub(crate) async fn list_categories(
    axum::extract::State(app): State,
    _: NoQuery,
) -> Result<Response> {
    let data = app.db.read("catalog.categories", super::categories).await?;
    respond::ok(&Categories { data })
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryBody {
    name: CategoryName,
}

/// Make a category
#[utoipa::path(post, path = "/categories", tag = "catalog", security(("bearer" = [])),
    request_body = CategoryBody,
    responses(
        (status = 201, body = Category),
        (status = 409, description = "`category-exists`"),
    ))]
pub(crate) async fn create_category(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    _: NoQuery,
    Json(body): Json<CategoryBody>,
) -> Result<Response> {
    let category = app
        .db
        .write("catalog.add_category", move |tx| {
            accounts::admin(tx, &claims)?;
            super::add_category(tx, &body.name)
        })
        .await?;
    respond::json(StatusCode::CREATED, &category)
}

/// Rename a category; its slug stays
#[utoipa::path(patch, path = "/categories/{id}", tag = "catalog", security(("bearer" = [])),
    params(("id" = CategoryId, Path)), request_body = CategoryBody,
    responses(
        (status = 200, body = Category),
        (status = 409, description = "`category-exists`"),
    ))]
pub(crate) async fn update_category(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<CategoryId>,
    _: NoQuery,
    Json(body): Json<CategoryBody>,
) -> Result<Response> {
    let category = app
        .db
        .write("catalog.rename_category", move |tx| {
            accounts::admin(tx, &claims)?;
            super::rename_category(tx, id, &body.name)
        })
        .await?;
    respond::ok(&category)
}

/// Delete a category that no product is in
#[utoipa::path(delete, path = "/categories/{id}", tag = "catalog", security(("bearer" = [])),
    params(("id" = CategoryId, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "`category-in-use`"),
    ))]
pub(crate) async fn delete_category(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<CategoryId>,
    _: NoQuery,
) -> Result<StatusCode> {
    app.db
        .write("catalog.delete_category", move |tx| {
            accounts::admin(tx, &claims)?;
            super::delete_category(tx, id)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// From 1.
    #[param(minimum = 1)]
    page: Option<i64>,
    /// 1 to 100; 20 if not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The id or slug of a category; an unknown one matches nothing.
    category: Option<String>,
    /// Inclusive, in the currency's minor unit.
    #[param(minimum = 0)]
    min_price: Option<i64>,
    /// Inclusive, in the currency's minor unit.
    #[param(minimum = 0)]
    max_price: Option<i64>,
    /// `false`: only what is sold out.
    in_stock: Option<bool>,
    /// `price`, `-price`, `name`, `-name`, `createdAt` or `-createdAt`, the default.
    sort: Option<String>,
}

impl ListQuery {
    fn parse(self) -> Result<(Filters, PageRequest)> {
        let page = PageRequest::new(self.page, self.limit)?;
        let wrong = |detail: &'static str| Error::new(Kind::InvalidQuery, detail);
        if self.min_price.is_some_and(i64::is_negative)
            || self.max_price.is_some_and(i64::is_negative)
        {
            return Err(wrong("`minPrice` and `maxPrice` must be 0 or more"));
        }
        let sort = match self.sort.as_deref() {
            None => Sort::default(),
            Some(name) => Sort::NAMES
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, sort)| *sort)
                .ok_or_else(|| {
                    wrong("`sort` must be `price`, `name` or `createdAt`, with `-` for downwards")
                })?,
        };
        let filters = Filters {
            category: self.category,
            min_price: self.min_price,
            max_price: self.max_price,
            in_stock: self.in_stock,
            sort,
        };
        Ok((filters, page))
    }
}

/// Pages behind this row are read where they may take long.
const DEEP: i64 = 10_000;

/// One page of the catalog
#[utoipa::path(get, path = "/products", tag = "catalog", params(ListQuery),
    responses((status = 200, body = Page<Product>, headers(
        ("Link", description = "`first`, `prev`, `next`, `last` (RFC 8288)"),
        ("X-Inventory-Seq", description = "The answer is true at least up to this event"),
    ))))]
pub(crate) async fn list_products(
    axum::extract::State(app): State,
    Query(query): Query<ListQuery>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let (filters, page) = query.parse()?;
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let takes_long = filters.need_counting() || page.offset() > DEEP;
    // Straight from the rows to JSON: this is the answer that is asked for most.
    let work = move |tx: &mut crate::db::Tx<'_>| {
        let mut rows = WrittenRows::new();
        let total = super::list(tx, &shop, &filters, page, |product| rows.push(&product))?;
        Ok((rows, total))
    };
    let (rows, total) = if takes_long {
        app.db.scan("catalog.list", work).await?
    } else {
        app.db.read("catalog.list", work).await?
    };
    let head = Page::new(page, Vec::<()>::new(), total);
    let mut response = respond::written_page(uri.path(), uri.query(), &head, rows)?;
    response
        .headers_mut()
        .insert(INVENTORY_SEQ, respond::number(seq));
    Ok(response)
}

/// One product
#[utoipa::path(get, path = "/products/{id}", tag = "catalog", params(("id" = ProductId, Path)),
    responses(
        (status = 200, body = Product, headers(("ETag", description = "Over the whole answer"))),
        (status = 304, description = "As `If-None-Match` has it"),
    ))]
pub(crate) async fn get_product(
    axum::extract::State(app): State,
    Path(id): Path<ProductId>,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let condition = Condition::from_headers(&headers, &header::IF_NONE_MATCH)?;
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let product = app
        .db
        .read("catalog.product", move |tx| super::product(tx, &shop, id))
        .await?;
    let response = tagged(StatusCode::OK, &product, seq)?;
    let is_known = condition.is_some_and(|condition| {
        let tag = response
            .headers()
            .get(header::ETAG)
            .and_then(|tag| tag.to_str().ok());
        tag.is_some_and(|tag| condition.matches_weakly(tag))
    });
    if is_known {
        let mut bare = StatusCode::NOT_MODIFIED.into_response();
        for name in [header::ETAG, INVENTORY_SEQ] {
            if let Some(value) = response.headers().get(&name) {
                bare.headers_mut().insert(name, value.clone());
            }
        }
        return Ok(bare);
    }
    Ok(response)
}

/// A product's response, with its tag and position. `seq` is read before the product is: what comes
/// between may be missing from the answer.
fn tagged(status: StatusCode, product: &Product<'_>, seq: i64) -> Result<Response> {
    let body = respond::to_json(product)?;
    let tag = etag(&body);
    let mut response = respond::with_header(respond::json_bytes(status, body), header::ETAG, &tag)?;
    response
        .headers_mut()
        .insert(INVENTORY_SEQ, respond::number(seq));
    Ok(response)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewProductBody {
    name: ProductName,
    price: Price,
    #[serde(default)]
    description: Description,
    #[serde(default = "no_stock")]
    stock_quantity: Stock,
    #[serde(default)]
    category_id: Option<CategoryId>,
}

fn no_stock() -> Stock {
    Stock::NONE
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ProductChanges {
    name: Option<ProductName>,
    price: Option<Price>,
    description: Option<Description>,
    /// Needs `If-Match`.
    stock_quantity: Option<Stock>,
    /// `null` takes the product out of its category.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<CategoryId>)]
    #[expect(
        clippy::option_option,
        reason = "not there, `null` and an id are three things"
    )]
    category_id: Option<Option<CategoryId>>,
}

/// Tells `null` from a key that is not there.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The same fields as a form, with pictures.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only the document reads it")]
pub(crate) struct ProductForm {
    name: Option<String>,
    price: Option<i64>,
    description: Option<String>,
    stock_quantity: Option<i64>,
    category_id: Option<CategoryId>,
    /// Up to 8 files of 5 MiB: JPEG, PNG, WebP or GIF.
    #[schema(value_type = Vec<String>, format = Binary, content_media_type = "application/octet-stream")]
    images: Option<Vec<Vec<u8>>>,
}

/// Only pictures, as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only the document reads it")]
pub(crate) struct ImagesForm {
    /// Up to 8 files of 5 MiB: JPEG, PNG, WebP or GIF.
    #[schema(value_type = Vec<String>, format = Binary, content_media_type = "application/octet-stream")]
    images: Vec<Vec<u8>>,
}

/// The fields of a body, be it JSON or a form, and the files that came along.
async fn read_fields<T: serde::de::DeserializeOwned>(request: Request) -> Result<(T, Vec<Bytes>)> {
    if is_json(request.headers()) {
        let body = read_body(request.into_body(), JSON_LIMIT).await?;
        return Ok((parse_json(&body)?, Vec::new()));
    }
    let upload = Upload::read(request).await?;
    let fields = upload.texts.into_iter().map(|(name, text)| {
        let value = match name.as_str() {
            "price" | "stockQuantity" => text
                .trim()
                .parse::<i64>()
                .map_or(text.into(), serde_json::Value::from),
            "categoryId" if text.is_empty() => serde_json::Value::Null,
            _ => text.into(),
        };
        (name, value)
    });
    let fields = serde_json::Value::Object(fields.collect());
    Ok((parse_value(fields)?, upload.images))
}

/// Decodes the files and puts the pictures into the store.
async fn keep_images(app: &App, files: Vec<Bytes>) -> Result<Vec<Stored>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let pictures = app
        .imaging
        .run(move || {
            files
                .iter()
                .enumerate()
                .map(|(index, file)| Picture::decode(file, &format!("images[{index}]")))
                .collect::<Result<Vec<_>>>()
        })
        .await?;
    let now = app.clock.now();
    let named = pictures
        .into_iter()
        .map(|picture| (ImageId(app.chance.uuid(now)), picture))
        .collect();
    media::keep(&app.images, named).await
}

/// Runs a write that pictures belong to; if it fails, they leave the store again.
async fn write_with_images<T, F>(
    app: &App,
    name: &'static str,
    images: Vec<Stored>,
    mut work: F,
) -> Result<T>
where
    T: Send + 'static,
    F: FnMut(&mut crate::db::Tx<'_>, &[Stored]) -> Result<T> + Send + 'static,
{
    let attached = images.clone();
    let answer = app.db.write(name, move |tx| work(tx, &attached)).await;
    if answer.is_err() {
        media::discard(&app.images, &images).await;
    }
    answer
}

/// Put a product into the catalog
#[utoipa::path(post, path = "/products", tag = "catalog", security(("bearer" = [])),
    request_body(content(
        (NewProductBody = "application/json"),
        (ProductForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, body = Product, headers(("Location"), ("ETag"))),
        (status = 422, description = "`validation-failed`, `invalid-image`"),
    ))]
pub(crate) async fn create_product(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let (body, files): (NewProductBody, _) = read_fields(request).await?;
    let images = keep_images(&app, files).await?;
    let new = NewProduct {
        name: body.name,
        description: body.description,
        price: body.price,
        stock: body.stock_quantity,
        category: body.category_id,
    };
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let product = write_with_images(&app, "catalog.create", images, move |tx, images| {
        accounts::admin(tx, &claims)?;
        super::create(tx, &shop, &new, images)
    })
    .await?;
    let location = format!("/api/v1/products/{}", product.id);
    let response = tagged(StatusCode::CREATED, &product, seq)?;
    respond::with_header(response, header::LOCATION, &location)
}

/// Change a product; pictures in a form are added
#[utoipa::path(patch, path = "/products/{id}", tag = "catalog", security(("bearer" = [])),
    params(
        ("id" = ProductId, Path),
        ("If-Match" = Option<String>, Header, description = "Required with `stockQuantity`"),
    ),
    request_body(content(
        (ProductChanges = "application/json"),
        (ProductForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, body = Product, headers(("ETag"))),
        (status = 412, description = "`precondition-failed`"),
        (status = 422, description = "`validation-failed`, `invalid-image`"),
        (status = 428, description = "`precondition-required`: `stockQuantity` without `If-Match`"),
    ))]
pub(crate) async fn update_product(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let condition = Condition::from_headers(request.headers(), &header::IF_MATCH)?;
    let (body, files): (ProductChanges, _) = read_fields(request).await?;
    if body.stock_quantity.is_some() && condition.is_none() {
        let detail = "to set `stockQuantity`, send the product's `ETag` as `If-Match`";
        return Err(Error::new(Kind::PreconditionRequired, detail));
    }
    let images = keep_images(&app, files).await?;
    let changes = Changes {
        name: body.name,
        description: body.description,
        price: body.price,
        stock: body.stock_quantity,
        category: body.category_id,
    };
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let product = write_with_images(&app, "catalog.update", images, move |tx, images| {
        accounts::admin(tx, &claims)?;
        let current = super::product(tx, &shop, id)?;
        check(condition.as_ref(), &current)?;
        super::update(tx, &shop, &current, &changes, images)
    })
    .await?;
    tagged(StatusCode::OK, &product, seq)
}

/// Whether the product is the one that `If-Match` means.
fn check(condition: Option<&Condition>, current: &Product<'_>) -> Result<()> {
    let Some(condition) = condition else {
        return Ok(());
    };
    if condition.matches_strongly(&etag(&respond::to_json(current)?)) {
        Ok(())
    } else {
        let detail = "the product was changed meanwhile; read it again";
        Err(Error::new(Kind::PreconditionFailed, detail))
    }
}

/// Take a product out of the catalog
#[utoipa::path(delete, path = "/products/{id}", tag = "catalog", security(("bearer" = [])),
    params(("id" = ProductId, Path), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "Gone from the catalog and from carts, kept in past orders"),
        (status = 412, description = "`precondition-failed`"),
    ))]
pub(crate) async fn delete_product(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<StatusCode> {
    let condition = Condition::from_headers(&headers, &header::IF_MATCH)?;
    let shop = Arc::clone(&app);
    app.db
        .write("catalog.delete", move |tx| {
            accounts::admin(tx, &claims)?;
            check(condition.as_ref(), &super::product(tx, &shop, id)?)?;
            super::delete(tx, &shop, id)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add pictures to a product
#[utoipa::path(post, path = "/products/{id}/images", tag = "catalog", security(("bearer" = [])),
    params(("id" = ProductId, Path)),
    request_body(content = ImagesForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = Product),
        (status = 422, description = "`invalid-image`: broken, too many pixels or more than 8"),
    ))]
pub(crate) async fn add_product_images(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let upload = Upload::read(request).await?;
    if let Some((name, _)) = upload.texts.first() {
        return Err(Error::field(
            name,
            "unknown-field",
            "is not known here, expected `images`",
        ));
    }
    if upload.images.is_empty() {
        return Err(Error::field("images", "required", "send at least one file"));
    }
    let images = keep_images(&app, upload.images).await?;
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let product = write_with_images(&app, "catalog.add_images", images, move |tx, images| {
        accounts::admin(tx, &claims)?;
        let current = super::product(tx, &shop, id)?;
        super::update(tx, &shop, &current, &Changes::default(), images)
    })
    .await?;
    tagged(StatusCode::OK, &product, seq)
}

/// Remove a picture from a product
#[utoipa::path(delete, path = "/products/{id}/images/{imageId}", tag = "catalog",
    security(("bearer" = [])),
    params(("id" = ProductId, Path), ("imageId" = ImageId, Path)),
    responses((status = 200, body = Product)))]
pub(crate) async fn delete_product_image(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path((id, image)): Path<(ProductId, ImageId)>,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let (key, product) = app
        .db
        .write("catalog.delete_image", move |tx| {
            accounts::admin(tx, &claims)?;
            super::remove_image(tx, &shop, id, image)
        })
        .await?;
    media::remove(&app.images, &key).await;
    tagged(StatusCode::OK, &product, seq)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StockBody {
    delta: Delta,
    reason: Reason,
}

/// Why an admin changes stock: 1 to 200 characters.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 200)]
struct Reason(String);

impl TryFrom<String> for Reason {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        super::product::short_text(&text).map(Reason)
    }
}

/// Change a product's stock by a delta
#[utoipa::path(post, path = "/admin/products/{id}/stock", tag = "catalog",
    security(("bearer" = [])),
    params(
        ("id" = ProductId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible characters"),
    ),
    request_body = StockBody,
    responses(
        (status = 200, body = Product),
        (status = 409, description = "`insufficient-stock`: it would fall below zero"),
        (status = 422, description = "`validation-failed`, `idempotency-key-reused`"),
    ))]
pub(crate) async fn change_product_stock(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    key: IdempotencyKey,
    request: Request,
) -> Result<Answer> {
    let raw = RawJson::<StockBody>::required(request).await?;
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    app.db
        .write("catalog.change_stock", move |tx| {
            let admin = accounts::admin(tx, &claims)?;
            idempotency::once(tx, &key, admin.user, &raw.raw, |tx| {
                let StockBody { delta, reason } = &raw.value;
                let product = super::change_stock(tx, &shop, id, *delta, &reason.0)?;
                let body = respond::to_json(&product)?;
                let tag = etag(&body);
                let answer = Answer::new(StatusCode::OK, body).with_header(header::ETAG, tag);
                Ok(answer.with_header(INVENTORY_SEQ, seq.to_string()))
            })
        })
        .await
}
