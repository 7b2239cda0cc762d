//! Single products and their pictures.

use std::sync::Arc;

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};

use super::bodies::{
    ImagesForm, NewProductBody, NewProductForm, ProductChanges, ProductChangesForm, read_fields,
    write_with_images,
};
use crate::{
    app::State,
    core::{
        error::{Error, Kind, Result},
        id::{ImageId, ProductId},
    },
    domain::{
        accounts::{self, http::Admin},
        catalog::{self, Changes, NewProduct, Product},
        media::{self, http::Upload},
    },
    infra::web::{
        extract::{Condition, NoQuery, Path},
        respond::{self, INVENTORY_SEQ, etag},
    },
};

/// One product
#[utoipa::path(get, path = "/products/{id}", tag = "catalog",
    params(
        ("id" = ProductId, Path),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has"),
    ),
    responses(
        (status = 200, body = Product, headers(
            ("ETag", description = "Over the whole answer"),
            ("X-Inventory-Seq" = i64, description = "The answer is true at least up to this event"),
        )),
        (status = 304, description = "The client has this version"),
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
        .read("catalog.product", move |tx| catalog::product(tx, &shop, id))
        .await?;
    let response = tagged(StatusCode::OK, &product, seq)?;
    let is_known = condition.is_some_and(|condition| {
        let tag = response
            .headers()
            .get(header::ETAG)
            .and_then(|tag| tag.to_str().ok());
        tag.is_some_and(|tag| condition.matches(tag))
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

/// Put a product into the catalog
#[utoipa::path(post, path = "/products", tag = "catalog", security(("bearer" = [])),
    request_body(content(
        (NewProductBody = "application/json"),
        (NewProductForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, body = Product,
            headers(("Location"), ("ETag"), ("X-Inventory-Seq" = i64))),
        (status = 422, description = "`validation-failed`, `invalid-image`"),
    ))]
pub(crate) async fn create_product(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let (body, files): (NewProductBody, _) = read_fields(&app, request).await?;
    let images = media::worker::keep(&app, files).await?;
    let new = NewProduct::from(body);
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let product = write_with_images(&app, "catalog.create", images, move |tx, images| {
        accounts::require_admin(tx, &claims)?;
        catalog::create(tx, &shop, &new, images)
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
        (ProductChangesForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, body = Product, headers(("ETag"), ("X-Inventory-Seq" = i64))),
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
    let (body, files): (ProductChanges, _) = read_fields(&app, request).await?;
    let changes = Changes::from(body);
    if changes.stock.is_some() && condition.is_none() {
        let detail = "to set `stockQuantity`, send the product's `ETag` as `If-Match`";
        return Err(Error::new(Kind::PreconditionRequired, detail));
    }
    let images = media::worker::keep(&app, files).await?;
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let product = write_with_images(&app, "catalog.update", images, move |tx, images| {
        accounts::require_admin(tx, &claims)?;
        let current = catalog::product_to_change(tx, &shop, id)?;
        check(condition.as_ref(), &current)?;
        catalog::update(tx, &shop, &current, &changes, images)
    })
    .await?;
    tagged(StatusCode::OK, &product, seq)
}

/// Whether the product is the one that `If-Match` means.
fn check(condition: Option<&Condition>, current: &Product<'_>) -> Result<()> {
    let Some(condition) = condition else {
        return Ok(());
    };
    if condition.matches(&etag(&respond::to_json(current)?)) {
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
            accounts::require_admin(tx, &claims)?;
            let current = catalog::product_to_change(tx, &shop, id)?;
            check(condition.as_ref(), &current)?;
            catalog::delete(tx, &shop, id)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add pictures to a product
#[utoipa::path(post, path = "/products/{id}/images", tag = "catalog", security(("bearer" = [])),
    params(("id" = ProductId, Path)),
    request_body(content = ImagesForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = Product, headers(("ETag"), ("X-Inventory-Seq" = i64))),
        (status = 422, description = "`validation-failed`; `invalid-image`: broken, too many pixels or more than 8"),
    ))]
pub(crate) async fn add_product_images(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let upload = Upload::read(&app, request, &[]).await?;
    if upload.images.is_empty() {
        return Err(Error::field("images", "required", "send at least one file"));
    }
    let images = media::worker::keep(&app, upload.images).await?;
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let product = write_with_images(&app, "catalog.add_images", images, move |tx, images| {
        accounts::require_admin(tx, &claims)?;
        let current = catalog::product_to_change(tx, &shop, id)?;
        catalog::update(tx, &shop, &current, &Changes::default(), images)
    })
    .await?;
    tagged(StatusCode::OK, &product, seq)
}

/// Remove a picture from a product
#[utoipa::path(delete, path = "/products/{id}/images/{imageId}", tag = "catalog",
    security(("bearer" = [])),
    params(("id" = ProductId, Path), ("imageId" = ImageId, Path)),
    responses((status = 200, body = Product, headers(("ETag"), ("X-Inventory-Seq" = i64)))))]
pub(crate) async fn delete_product_image(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path((id, image)): Path<(ProductId, ImageId)>,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let product = app
        .db
        .write("catalog.delete_image", move |tx| {
            accounts::require_admin(tx, &claims)?;
            catalog::remove_image(tx, &shop, id, image)
        })
        .await?;
    tagged(StatusCode::OK, &product, seq)
}
