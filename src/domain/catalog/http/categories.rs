//! Category routes.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::State,
    core::{error::Result, id::CategoryId},
    domain::{
        accounts::http::Admin,
        catalog::{self, Category, CategoryName},
    },
    infra::web::{
        extract::{Json, NoQuery, Path},
        respond,
    },
};

#[derive(Serialize, ToSchema)]
pub(crate) struct CategoryList {
    data: Vec<Category>,
}

/// List all categories by name
///
/// Not paginated. `productCount` is the number of products in the catalog.
#[utoipa::path(get, path = "/categories", tag = "catalog",
    responses((status = 200, body = CategoryList)))]
pub(crate) async fn list_categories(
    axum::extract::State(app): State,
    _: NoQuery,
) -> Result<Response> {
    let data = app
        .db
        .read("catalog.categories", catalog::categories)
        .await?;
    respond::ok(&CategoryList { data })
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryRequest {
    name: CategoryName,
}

/// Create a category
///
/// For admins. The slug is made from the name and never changes.
#[utoipa::path(post, path = "/categories", tag = "catalog", security(("bearer" = [])),
    request_body = CategoryRequest,
    responses(
        (status = 201, body = Category),
        (status = 409, description = "`category-exists`"),
    ))]
pub(crate) async fn create_category(
    axum::extract::State(app): State,
    admin: Admin,
    _: NoQuery,
    Json(body): Json<CategoryRequest>,
) -> Result<Response> {
    let category = app
        .write_as(&admin, "catalog.add_category", move |tx, _| {
            catalog::add_category(tx, &body.name)
        })
        .await?;
    respond::json(StatusCode::CREATED, &category)
}

/// Rename a category; its slug does not change
///
/// For admins.
#[utoipa::path(patch, path = "/categories/{id}", tag = "catalog", security(("bearer" = [])),
    params(("id" = CategoryId, Path)), request_body = CategoryRequest,
    responses(
        (status = 200, body = Category),
        (status = 409, description = "`category-exists`"),
    ))]
pub(crate) async fn update_category(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<CategoryId>,
    _: NoQuery,
    Json(body): Json<CategoryRequest>,
) -> Result<Response> {
    let category = app
        .write_as(&admin, "catalog.rename_category", move |tx, _| {
            catalog::rename_category(tx, id, &body.name)
        })
        .await?;
    respond::ok(&category)
}

/// Delete an empty category
///
/// For admins. A category that has products cannot be deleted.
#[utoipa::path(delete, path = "/categories/{id}", tag = "catalog", security(("bearer" = [])),
    params(("id" = CategoryId, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "`category-in-use`"),
    ))]
pub(crate) async fn delete_category(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<CategoryId>,
    _: NoQuery,
) -> Result<StatusCode> {
    app.write_as(&admin, "catalog.delete_category", move |tx, _| {
        catalog::delete_category(tx, id)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
