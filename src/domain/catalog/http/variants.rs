//! Routes of single variants.

use axum::{extract::OriginalUri, response::Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::products::{check_if_match, read_cached};
use crate::{
    app::State,
    core::{
        error::{Error, Kind, Result},
        id::{ImageId, VariantId},
        money::{Price, Stock},
    },
    domain::{
        accounts::http::Admin,
        catalog::{self, VariantChanges, VariantCode, VariantWithProduct, Weight},
    },
    infra::web::{
        extract::{Condition, Json, NoQuery, Path, deserialize_some},
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
        (status = 409, description = "`sku-taken`"),
        (status = 412, description = "`precondition-failed`"),
        (status = 422, description = "`validation-failed`; code `unknown-image`: not an image of the product"),
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
            if let Some(condition) = &condition {
                check_if_match(condition, "variant", &current)?;
            }
            catalog::update_variant(tx, &current, &changes)
        })
        .await?;
    let representation = Representation::new(respond::to_json(&variant)?, None)?;
    Ok(representation.to_write(StatusCode::OK, seq))
}
