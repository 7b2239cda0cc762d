//! Routes of single variants.

use axum::{
    extract::{OriginalUri, Request},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::products::{check_if_match, read_cached, written_once};
use crate::{
    app::State,
    core::{
        error::{Error, Kind, Result},
        id::{ImageId, ProductId, VariantId},
        money::{Price, Stock},
    },
    domain::{
        accounts::http::Admin,
        catalog::{
            self, NewVariant, Selection, VariantChanges, VariantCode, VariantPosition,
            VariantWithProduct, Weight,
        },
    },
    infra::web::{
        extract::{Condition, Json, NoQuery, Path, RawJson, deserialize_some},
        idempotency::{IdempotencyKey, StoredResponse},
        respond,
        response_cache::Representation,
    },
};

/// Get a variant
///
/// The unit of sale. A product without options has one variant, with the same id.
#[utoipa::path(get, path = "/variants/{id}", tag = "catalog",
    params(
        ("id" = VariantId, Path),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags of cached responses"),
    ),
    responses(
        (status = 200, body = VariantWithProduct, headers(("ETag"), ("X-Inventory-Seq"))),
        (status = 304, description = "The cached response is current", headers(("ETag"), ("X-Inventory-Seq"))),
    ))]
pub(crate) async fn get_variant(
    axum::extract::State(app): State,
    Path(id): Path<VariantId>,
    _: NoQuery,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response> {
    read_cached(&app, &uri, &headers, "catalog.variant", move |tx| {
        let variant = catalog::variant(tx, id)?;
        Ok((variant.product.id, respond::to_json(&variant)?))
    })
    .await
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CreateVariant {
    /// Unique in the shop. Compared without case, in Unicode normalization form NFKC.
    #[serde(default)]
    sku: Option<VariantCode>,
    #[serde(default)]
    barcode: Option<VariantCode>,
    /// The value of each option of the product, by name.
    #[serde(default)]
    #[schema(value_type = HashMap<String, String>)]
    options: Selection,
    price: Price,
    #[serde(default)]
    compare_at_price: Option<Price>,
    #[serde(default = "no_stock")]
    stock_quantity: Stock,
    #[serde(default)]
    weight_grams: Option<Weight>,
    #[serde(default = "yes")]
    requires_shipping: bool,
    /// One of the product's images.
    #[serde(default)]
    image_id: Option<ImageId>,
    /// Defaults to a place after the others.
    #[serde(default)]
    position: Option<VariantPosition>,
}

pub(super) fn no_stock() -> Stock {
    Stock::NONE
}

fn yes() -> bool {
    true
}

impl From<CreateVariant> for NewVariant {
    fn from(body: CreateVariant) -> Self {
        NewVariant {
            sku: body.sku,
            barcode: body.barcode,
            options: body.options,
            price: body.price,
            compare_at_price: body.compare_at_price,
            stock: body.stock_quantity,
            weight: body.weight_grams,
            requires_shipping: body.requires_shipping,
            image: body.image_id,
            position: body.position,
        }
    }
}

/// Create a variant
///
/// For admins. The product must have options, of which the variant has one value each; a product has at most 200 variants.
#[utoipa::path(post, path = "/products/{id}/variants", tag = "catalog",
    security(("bearer" = [])),
    params(
        ("id" = ProductId, Path),
        ("Idempotency-Key" = inline(Option<IdempotencyKey>), Header,
            description = "1 to 255 visible characters, plain or as a quoted string"),
    ),
    request_body = CreateVariant,
    responses(
        (status = 201, body = VariantWithProduct, headers(
            ("Location"),
            ("ETag"),
            ("X-Inventory-Seq"),
            ("Idempotent-Replayed"),
        )),
        (status = 409, description = "`variant-exists`, `sku-taken`"),
        (status = 422, description = "`validation-failed`; codes `unknown-image`: not an image of the product; \
            `unknown-option`, `unknown-option-value`: not among the product's options; `idempotency-key-reused`"),
    ))]
pub(crate) async fn create_variant(
    axum::extract::State(app): State,
    admin: Admin,
    Path(product): Path<ProductId>,
    _: NoQuery,
    key: IdempotencyKey,
    request: Request,
) -> Result<StoredResponse> {
    let RawJson { value, raw } = RawJson::<CreateVariant>::required(request).await?;
    let new = NewVariant::from(value);
    let seq = app.bus.head();
    app.write_once_as(&admin, "catalog.create_variant", (key, raw), move |tx| {
        let variant = catalog::create_variant(tx, product, &new)?;
        let location = format!("/api/v1/variants/{}", variant.variant.id);
        let response = written_once(StatusCode::CREATED, &variant, seq)?;
        Ok(response.with_header(header::LOCATION, location))
    })
    .await
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    clippy::option_option,
    reason = "absent, `null` and a value have different meanings"
)]
pub(crate) struct UpdateVariant {
    /// Unique in the shop. Compared without case, in Unicode normalization form NFKC.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Option<VariantCode>)]
    sku: Option<Option<VariantCode>>,
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Option<VariantCode>)]
    barcode: Option<Option<VariantCode>>,
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Price, required = false)]
    price: Option<Price>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Option<Price>)]
    compare_at_price: Option<Option<Price>>,
    /// Requires `If-Match`.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Stock, required = false)]
    stock_quantity: Option<Stock>,
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Option<Weight>)]
    weight_grams: Option<Option<Weight>>,
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = bool, required = false)]
    requires_shipping: Option<bool>,
    /// One of the product's images.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Option<ImageId>)]
    image_id: Option<Option<ImageId>>,
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = VariantPosition, required = false)]
    position: Option<VariantPosition>,
    /// The value of each option of the product, by name.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = HashMap<String, String>, required = false)]
    options: Option<Selection>,
}

impl From<UpdateVariant> for VariantChanges {
    fn from(body: UpdateVariant) -> Self {
        VariantChanges {
            sku: body.sku,
            barcode: body.barcode,
            price: body.price,
            compare_at_price: body.compare_at_price,
            stock: body.stock_quantity,
            weight: body.weight_grams,
            requires_shipping: body.requires_shipping,
            image: body.image_id,
            position: body.position,
            options: body.options,
        }
    }
}

/// Update a variant
///
/// For admins. Only the fields that are sent change; `null` removes a value. Setting `stockQuantity` needs `If-Match`,
/// since orders change the stock, too.
#[utoipa::path(patch, path = "/variants/{id}", tag = "catalog",
    security(("bearer" = [])),
    params(
        ("id" = VariantId, Path),
        ("If-Match" = Option<String>, Header, description = "Required with `stockQuantity`"),
    ),
    request_body = UpdateVariant,
    responses(
        (status = 200, body = VariantWithProduct, headers(("ETag"), ("X-Inventory-Seq"))),
        (status = 409, description = "`sku-taken`, `variant-exists`"),
        (status = 412, description = "`precondition-failed`"),
        (status = 422, description = "`validation-failed`; codes `unknown-image`: not an image of the product; \
            `unknown-option`, `unknown-option-value`: not among the product's options"),
        (status = 428, description = "`precondition-required`: `stockQuantity` without `If-Match`"),
    ))]
pub(crate) async fn update_variant(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<VariantId>,
    _: NoQuery,
    headers: HeaderMap,
    Json(body): Json<UpdateVariant>,
) -> Result<Response> {
    let condition = Condition::from_headers(&headers, &header::IF_MATCH)?;
    let changes = VariantChanges::from(body);
    if changes.stock.is_some() && condition.is_none() {
        let detail = "to set `stockQuantity`, send the variant's `ETag` as `If-Match`";
        return Err(Error::new(Kind::PreconditionRequired, detail));
    }
    let seq = app.bus.head();
    let variant = app
        .write_as(&admin, "catalog.update_variant", move |tx, _| {
            let current = catalog::variant_for_update(tx, id)?;
            check_if_match(condition.as_ref(), "variant", &current)?;
            catalog::update_variant(tx, &current, &changes)
        })
        .await?;
    let representation = Representation::new(respond::to_json(&variant)?, None)?;
    Ok(representation.to_write(StatusCode::OK, seq))
}

/// Delete a variant
///
/// For admins. The variant leaves its product and all carts.
#[utoipa::path(delete, path = "/variants/{id}", tag = "catalog",
    security(("bearer" = [])),
    params(("id" = VariantId, Path), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "Removed from its product and from carts; past orders keep their copy"),
        (status = 409, description = "`last-variant`"),
        (status = 412, description = "`precondition-failed`"),
    ))]
pub(crate) async fn delete_variant(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<VariantId>,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<StatusCode> {
    let condition = Condition::from_headers(&headers, &header::IF_MATCH)?;
    app.write_as(&admin, "catalog.delete_variant", move |tx, _| {
        let current = catalog::variant_for_update(tx, id)?;
        check_if_match(condition.as_ref(), "variant", &current)?;
        catalog::delete_variant(tx, &current)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
