//! Collection routes.

use axum::{extract::Request, response::Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::State,
    core::{
        error::Result,
        id::{CollectionId, ProductId},
    },
    domain::{
        accounts::http::Admin,
        catalog::{
            self, Collection, CollectionChanges, CollectionName, CollectionWithProducts,
            Description, NewCollection,
        },
    },
    infra::web::{
        extract::{NoQuery, Path, RawJson, deserialize_some},
        respond,
    },
};

/// The maximum size of a body, in bytes: 10,000 ids have 390,000.
const MAX_BODY: usize = 1024 * 1024;

#[derive(Serialize, ToSchema)]
pub(crate) struct CollectionList {
    data: Vec<Collection>,
}

/// List all collections
///
/// Not paginated, oldest first, without their products.
#[utoipa::path(get, path = "/collections", tag = "catalog",
    responses((status = 200, body = CollectionList)))]
pub(crate) async fn list_collections(
    axum::extract::State(app): State,
    _: NoQuery,
) -> Result<Response> {
    let data = app
        .db
        .read("catalog.collections", catalog::collections)
        .await?;
    respond::ok(&CollectionList { data })
}

/// Get a collection
///
/// `productIds` are its products in their order, without deleted ones.
#[utoipa::path(get, path = "/collections/{id}", tag = "catalog",
    params(("id" = CollectionId, Path)),
    responses((status = 200, body = CollectionWithProducts)))]
pub(crate) async fn get_collection(
    axum::extract::State(app): State,
    Path(id): Path<CollectionId>,
    _: NoQuery,
) -> Result<Response> {
    let collection = app
        .db
        .read("catalog.collection", move |tx| catalog::collection(tx, id))
        .await?;
    respond::ok(&collection)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CreateCollection {
    name: CollectionName,
    #[serde(default)]
    description: Description,
    /// In their order.
    #[serde(default)]
    #[schema(min_items = 0, max_items = 10_000)]
    product_ids: Vec<ProductId>,
}

/// Create a collection
///
/// For admins. The slug is made from the name and never changes.
#[utoipa::path(post, path = "/collections", tag = "catalog", security(("bearer" = [])),
    request_body = CreateCollection,
    responses(
        (status = 201, body = CollectionWithProducts, headers(("Location"))),
        (status = 422, description = "`validation-failed`; codes `unknown-product`, `duplicate`, `too-many`"),
    ))]
pub(crate) async fn create_collection(
    axum::extract::State(app): State,
    admin: Admin,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let body = RawJson::<CreateCollection>::up_to(request, MAX_BODY)
        .await?
        .value;
    let new = NewCollection {
        name: body.name,
        description: body.description,
        products: body.product_ids,
    };
    let created = app
        .write_as(&admin, "catalog.create_collection", move |tx, _| {
            catalog::create_collection(tx, &new)
        })
        .await?;
    let location = format!("/api/v1/collections/{}", created.collection.id);
    let response = respond::json(StatusCode::CREATED, &created)?;
    respond::with_header(response, header::LOCATION, &location)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct UpdateCollection {
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = CollectionName, required = false)]
    name: Option<CollectionName>,
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Description, required = false)]
    description: Option<Description>,
    /// The whole list in its order.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Vec<ProductId>, required = false, min_items = 0, max_items = 10_000)]
    product_ids: Option<Vec<ProductId>>,
}

/// Update a collection
///
/// For admins. Fields that are not sent keep their values; `productIds` replaces the whole list.
#[utoipa::path(patch, path = "/collections/{id}", tag = "catalog", security(("bearer" = [])),
    params(("id" = CollectionId, Path)), request_body = UpdateCollection,
    responses(
        (status = 200, body = CollectionWithProducts),
        (status = 422, description = "`validation-failed`; codes `unknown-product`, `duplicate`, `too-many`"),
    ))]
pub(crate) async fn update_collection(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<CollectionId>,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let body = RawJson::<UpdateCollection>::up_to(request, MAX_BODY)
        .await?
        .value;
    let changes = CollectionChanges {
        name: body.name,
        description: body.description,
        products: body.product_ids,
    };
    let updated = app
        .write_as(&admin, "catalog.update_collection", move |tx, _| {
            catalog::update_collection(tx, id, &changes)
        })
        .await?;
    respond::ok(&updated)
}

/// Delete a collection; its products stay
///
/// For admins.
#[utoipa::path(delete, path = "/collections/{id}", tag = "catalog", security(("bearer" = [])),
    params(("id" = CollectionId, Path)),
    responses((status = 204, description = "Deleted")))]
pub(crate) async fn delete_collection(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<CollectionId>,
    _: NoQuery,
) -> Result<StatusCode> {
    app.write_as(&admin, "catalog.delete_collection", move |tx, _| {
        catalog::delete_collection(tx, id)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
