//! Routes of single products and their images.

use axum::{
    extract::{OriginalUri, Request},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};
use serde::Serialize;

use super::product_bodies::{
    CreateProductBody, CreateProductForm, ImagesForm, UpdateProduct, UpdateProductForm,
    read_fields, read_new_product, write_with_images,
};
use crate::{
    app::{App, State},
    core::{
        error::{Error, Kind, Result},
        id::{ImageId, ProductId},
    },
    domain::{
        accounts::http::Admin,
        catalog::{
            self, Changes, NewProduct, NewProductWithVariants, Product, ProductWithVariants,
            cache_tags,
        },
        media::{self, http::MultipartForm},
    },
    infra::{
        db::Tx,
        web::{
            extract::{Condition, NoQuery, Path},
            idempotency::StoredResponse,
            respond::{self, INVENTORY_SEQ, etag},
            response_cache::Representation,
        },
    },
};

/// Get a product
///
/// The response has a strong `ETag` over the whole representation, for `If-None-Match` here and `If-Match`
/// in changes.
#[utoipa::path(get, path = "/products/{id}", tag = "catalog",
    params(
        ("id" = ProductId, Path),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags of cached responses"),
    ),
    responses(
        (status = 200, body = ProductWithVariants, headers(
            ("ETag"),
            ("X-Inventory-Seq"),
        )),
        (status = 304, description = "The cached response is current", headers(("ETag"), ("X-Inventory-Seq"))),
    ))]
pub(crate) async fn get_product(
    axum::extract::State(app): State,
    Path(id): Path<ProductId>,
    _: NoQuery,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response> {
    read_cached(&app, &uri, &headers, "catalog.product", move |tx| {
        let product = catalog::product(tx, id)?;
        let body = respond::to_json(&catalog::with_variants(tx, product)?)?;
        Ok((id, body))
    })
    .await
}

/// Returns the response to a read of a product or a variant, from the cache if it is current. `work` returns the
/// product that the response depends on, and its body.
pub(super) async fn read_cached<F>(
    app: &App,
    uri: &Uri,
    headers: &HeaderMap,
    name: &'static str,
    work: F,
) -> Result<Response>
where
    F: FnMut(&mut Tx<'_>) -> Result<(ProductId, Bytes)> + Send + 'static,
{
    let condition = Condition::from_headers(headers, &header::IF_NONE_MATCH)?;
    let seq = app.bus.head();
    let read = async {
        let (product, body) = app.db.read(name, work).await?;
        let representation = Representation::new(body, None)?;
        Ok((representation, cache_tags::of_product(product)))
    };
    let shown = app.responses.get(&app.db, uri, read).await?;
    Ok(shown.to_read(condition.as_ref(), seq))
}

/// Returns the response to a write that resulted in a product. `seq` is read before the product, so that the
/// response reflects at least the events up to it.
pub(super) fn written(
    status: StatusCode,
    product: &ProductWithVariants,
    seq: i64,
) -> Result<Response> {
    let representation = Representation::new(respond::to_json(product)?, None)?;
    Ok(representation.to_write(status, seq))
}

/// Like [`written`], for a write with an `Idempotency-Key` that resulted in any resource.
pub(super) fn written_once(
    status: StatusCode,
    resource: &impl Serialize,
    seq: i64,
) -> Result<StoredResponse> {
    let body = respond::to_json(resource)?;
    let tag = etag(&body);
    let response = StoredResponse::new(status, body).with_header(header::ETAG, tag);
    Ok(response.with_header(INVENTORY_SEQ, seq.to_string()))
}

/// Create a product
///
/// For admins. As JSON without images, or as a form with images. With `options` and `variants`, the product has several
/// variants with prices and stocks of their own.
#[utoipa::path(post, path = "/products", tag = "catalog", security(("bearer" = [])),
    request_body(content(
        (CreateProductBody = "application/json"),
        (CreateProductForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, body = ProductWithVariants,
            headers(("Location"), ("ETag"), ("X-Inventory-Seq"))),
        (status = 409, description = "`sku-taken`"),
        (status = 422, description = "`validation-failed`, `invalid-image`"),
    ))]
pub(crate) async fn create_product(
    axum::extract::State(app): State,
    admin: Admin,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let (body, files) = read_new_product(&app, request).await?;
    let images = media::store_images(&app, files).await?;
    let seq = app.bus.head();
    let product = match body {
        CreateProductBody::Plain(body) => {
            let new = NewProduct::from(body);
            write_with_images(&app, &admin, "catalog.create", images, move |tx, images| {
                let created = catalog::create(tx, &new, images)?;
                catalog::with_variants(tx, created)
            })
            .await?
        }
        CreateProductBody::WithVariants(body) => {
            let new = NewProductWithVariants::from(body);
            app.write_as(&admin, "catalog.create", move |tx, _| {
                catalog::create_with_variants(tx, &new)
            })
            .await?
        }
    };
    let location = format!("/api/v1/products/{}", product.product.id);
    let response = written(StatusCode::CREATED, &product, seq)?;
    respond::with_header(response, header::LOCATION, &location)
}

/// Update a product; images in a form are added
///
/// For admins. As JSON or as a form; only the fields that are sent change. Setting `stockQuantity` needs
/// `If-Match`, since orders change the stock, too.
#[utoipa::path(patch, path = "/products/{id}", tag = "catalog",
    security(("bearer" = [])),
    params(
        ("id" = ProductId, Path),
        ("If-Match" = Option<String>, Header, description = "Required with `stockQuantity`"),
    ),
    request_body(content(
        (UpdateProduct = "application/json"),
        (UpdateProductForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, body = ProductWithVariants, headers(("ETag"), ("X-Inventory-Seq"))),
        (status = 409, description = "`variant-required`: price or stock of a product with several variants"),
        (status = 412, description = "`precondition-failed`"),
        (status = 422, description = "`validation-failed`, `invalid-image`"),
        (status = 428, description = "`precondition-required`: `stockQuantity` without `If-Match`"),
    ))]
pub(crate) async fn update_product(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let condition = Condition::from_headers(request.headers(), &header::IF_MATCH)?;
    let (body, files): (UpdateProduct, _) = read_fields(&app, request).await?;
    let changes = Changes::from(body);
    if changes.stock.is_some() && condition.is_none() {
        let detail = "to set `stockQuantity`, send the product's `ETag` as `If-Match`";
        return Err(Error::new(Kind::PreconditionRequired, detail));
    }
    let images = media::store_images(&app, files).await?;
    let seq = app.bus.head();
    let product = write_with_images(&app, &admin, "catalog.update", images, move |tx, images| {
        let current = current_product(tx, id, condition.as_ref())?;
        let updated = catalog::update(tx, &current, &changes, images)?;
        catalog::with_variants(tx, updated)
    })
    .await?;
    written(StatusCode::OK, &product, seq)
}

/// Returns a product and locks its row. Errors: `precondition-failed` if it does not match `If-Match`.
fn current_product(
    tx: &mut Tx<'_>,
    id: ProductId,
    condition: Option<&Condition>,
) -> Result<Product<'static>> {
    let current = catalog::product_for_update(tx, id)?;
    if condition.is_none() {
        return Ok(current);
    }
    let current = catalog::with_variants(tx, current)?;
    check_if_match(condition, "product", &current)?;
    Ok(current.product)
}

/// Errors: `precondition-failed` if the current representation of the resource `name` does not match `If-Match`, which
/// may be missing.
pub(super) fn check_if_match(
    condition: Option<&Condition>,
    name: &str,
    current: &impl Serialize,
) -> Result<()> {
    let Some(condition) = condition else {
        return Ok(());
    };
    if condition.matches(&etag(&respond::to_json(current)?)) {
        return Ok(());
    }
    let detail = format!("the {name} has changed since it was read; read it again");
    Err(Error::new(Kind::PreconditionFailed, detail))
}

/// Delete a product
///
/// For admins. The product leaves the catalog and all carts.
#[utoipa::path(delete, path = "/products/{id}", tag = "catalog",
    security(("bearer" = [])),
    params(("id" = ProductId, Path), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "Removed from the catalog and from carts; past orders keep their copy"),
        (status = 412, description = "`precondition-failed`"),
    ))]
pub(crate) async fn delete_product(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<StatusCode> {
    let condition = Condition::from_headers(&headers, &header::IF_MATCH)?;
    app.write_as(&admin, "catalog.delete", move |tx, _| {
        current_product(tx, id, condition.as_ref())?;
        catalog::delete(tx, id)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add images to a product
///
/// For admins. A product has at most 8 images.
#[utoipa::path(post, path = "/products/{id}/images",
    tag = "catalog", security(("bearer" = [])),
    params(("id" = ProductId, Path)),
    request_body(content = ImagesForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = ProductWithVariants, headers(("ETag"), ("X-Inventory-Seq"))),
        (status = 422, description = "`validation-failed`; `invalid-image`: not decodable, too many pixels or more than 8"),
    ))]
pub(crate) async fn add_product_images(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let form = MultipartForm::read(&app, request, &[]).await?;
    let required = || Error::field("images", "required", "send at least one file");
    let has_images = (!form.images.is_empty()).then_some(()).ok_or_else(required);
    let ((), images) = form.check(has_images)?;
    let images = media::store_images(&app, images).await?;
    let seq = app.bus.head();
    let product = write_with_images(
        &app,
        &admin,
        "catalog.add_images",
        images,
        move |tx, images| {
            let current = catalog::product_for_update(tx, id)?;
            let updated = catalog::update(tx, &current, &Changes::default(), images)?;
            catalog::with_variants(tx, updated)
        },
    )
    .await?;
    written(StatusCode::OK, &product, seq)
}

/// Remove an image from a product
///
/// For admins. The response has the product without the image.
#[utoipa::path(delete, path = "/products/{id}/images/{imageId}", tag = "catalog",
    security(("bearer" = [])),
    params(("id" = ProductId, Path), ("imageId" = ImageId, Path)),
    responses((status = 200, body = ProductWithVariants, headers(("ETag"), ("X-Inventory-Seq")))))]
pub(crate) async fn delete_product_image(
    axum::extract::State(app): State,
    admin: Admin,
    Path((id, image)): Path<(ProductId, ImageId)>,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let product = app
        .write_as(&admin, "catalog.delete_image", move |tx, _| {
            let updated = catalog::remove_image(tx, id, image)?;
            catalog::with_variants(tx, updated)
        })
        .await?;
    written(StatusCode::OK, &product, seq)
}
