//! The admin's stock routes.

use axum::{extract::Request, response::Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::products::written_once;
use crate::{
    app::{App, State},
    core::{
        error::{Error, Result},
        id::{ProductId, VariantId},
        pagination::{CursorPage, KeyType, ListRequest, PageLimit},
    },
    domain::{
        accounts::http::Admin,
        catalog::{self, Delta, ProductWithVariants, Reason, RecordedMovement, VariantWithProduct},
    },
    infra::{
        db::Tx,
        web::{
            extract::{NoQuery, Path, Query, RawJson},
            idempotency::{IdempotencyKey, StoredResponse},
            respond,
        },
    },
};

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeStock {
    delta: Delta,
    reason: Reason,
}

/// Change a product's stock by a delta
///
/// For admins. Adds to the stock or takes from it, and records a movement with the reason. It does not need
/// the current stock, so it cannot overwrite a sale. The product must have a single variant.
#[utoipa::path(post, path = "/admin/products/{id}/stock",
    tag = "catalog",
    security(("bearer" = [])),
    params(
        ("id" = ProductId, Path),
        ("Idempotency-Key" = inline(Option<IdempotencyKey>), Header,
            description = "1 to 255 visible characters, plain or as a quoted string"),
    ),
    request_body = ChangeStock,
    responses(
        (status = 200, body = ProductWithVariants, headers(
            ("ETag"),
            ("X-Inventory-Seq"),
            ("Idempotent-Replayed"),
        )),
        (status = 409, description = "`insufficient-stock`: stock would fall below zero; `variant-required`"),
        (status = 422, description = "`validation-failed`, `idempotency-key-reused`"),
    ))]
pub(crate) async fn change_product_stock(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    key: IdempotencyKey,
    request: Request,
) -> Result<StoredResponse> {
    let work = move |tx: &mut Tx<'_>, change: &ChangeStock| {
        let product = catalog::change_stock(tx, id, change.delta, change.reason.as_str())?;
        catalog::with_variants(tx, product)
    };
    change_stock(&app, &admin, "catalog.change_stock", key, request, work).await
}

/// Change a variant's stock by a delta
///
/// For admins. Adds to the stock or takes from it, and records a movement with the reason.
#[utoipa::path(post, path = "/admin/variants/{id}/stock",
    tag = "catalog",
    security(("bearer" = [])),
    params(
        ("id" = VariantId, Path),
        ("Idempotency-Key" = inline(Option<IdempotencyKey>), Header,
            description = "1 to 255 visible characters, plain or as a quoted string"),
    ),
    request_body = ChangeStock,
    responses(
        (status = 200, body = VariantWithProduct, headers(
            ("ETag"),
            ("X-Inventory-Seq"),
            ("Idempotent-Replayed"),
        )),
        (status = 409, description = "`insufficient-stock`: stock would fall below zero"),
        (status = 422, description = "`validation-failed`, `idempotency-key-reused`"),
    ))]
pub(crate) async fn change_variant_stock(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<VariantId>,
    _: NoQuery,
    key: IdempotencyKey,
    request: Request,
) -> Result<StoredResponse> {
    let work = move |tx: &mut Tx<'_>, change: &ChangeStock| {
        let current = catalog::variant_for_update(tx, id)?;
        catalog::change_variant_stock(tx, &current, change.delta, change.reason.as_str())
    };
    change_stock(
        &app,
        &admin,
        "catalog.change_variant_stock",
        key,
        request,
        work,
    )
    .await
}

/// Changes a stock once per idempotency key. `work` returns the changed resource.
async fn change_stock<R: Serialize>(
    app: &App,
    admin: &Admin,
    name: &'static str,
    key: IdempotencyKey,
    request: Request,
    mut work: impl FnMut(&mut Tx<'_>, &ChangeStock) -> Result<R> + Send + 'static,
) -> Result<StoredResponse> {
    let RawJson { value, raw } = RawJson::<ChangeStock>::required(request).await?;
    let seq = app.bus.head();
    app.write_once_as(admin, name, (key, raw), move |tx| {
        written_once(StatusCode::OK, &work(tx, &value)?, seq)
    })
    .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct MovementQuery {
    /// Defaults to 20.
    #[param(inline)]
    limit: Option<PageLimit>,
    /// The previous `nextCursor`; omitted or empty to start.
    cursor: Option<String>,
    /// Only the movements of this product.
    #[param(inline)]
    product_id: Option<ProductId>,
}

/// List stock movements, newest first
///
/// For admins. The stock of a variant is the sum of its movements. That of a product is the sum of its variants, without
/// those that were deleted.
#[utoipa::path(get, path = "/admin/stock-movements", tag = "catalog", security(("bearer" = [])),
    params(MovementQuery),
    responses((status = 200, body = CursorPage<RecordedMovement>)))]
pub(crate) async fn list_stock_movements(
    axum::extract::State(app): State,
    admin: Admin,
    Query(query): Query<MovementQuery>,
) -> Result<Response> {
    let product = query.product_id;
    let cursor = query.cursor.as_deref().unwrap_or_default();
    let scope = format!("stock-movements {product:?}");
    let request = ListRequest::new(None, query.limit, Some(cursor), scope, KeyType::Number)?;
    let ListRequest::Cursor(request) = request else {
        return Err(Error::internal("expected a cursor"));
    };
    let listed = app
        .long_read_as(&admin, "catalog.movements", move |tx, _| {
            catalog::movements(tx, product, &request)
        })
        .await?;
    respond::ok(&listed)
}
