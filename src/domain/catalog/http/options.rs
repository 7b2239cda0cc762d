//! The route of a product's options.

use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::products::{check_if_match, written};
use crate::{
    app::State,
    core::{
        error::Result,
        id::{OptionId, OptionValueId, ProductId},
    },
    domain::{
        accounts::http::Admin,
        catalog::{
            self, NewOption, NewValue, OptionName, OptionText, ProductWithVariants, Selection,
            options::check_sizes,
        },
    },
    infra::web::extract::{Condition, Json, NoQuery, Path},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetOptions {
    /// The whole list in its order: at most 3 options.
    #[schema(min_items = 0, max_items = 3)]
    options: Vec<SetOption>,
    /// For each new option the value that the existing variants get, by name.
    #[serde(default)]
    #[schema(value_type = HashMap<String, String>)]
    assign: Selection,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetOption {
    /// Without it, the option of the product with this name is kept, or a new one created.
    #[serde(default)]
    id: Option<OptionId>,
    name: OptionName,
    #[schema(min_items = 1, max_items = 50)]
    values: Vec<SetValue>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetValue {
    /// Without it, the same value of the option is kept, or a new one created.
    #[serde(default)]
    id: Option<OptionValueId>,
    value: OptionText,
}

impl From<SetOption> for NewOption {
    fn from(option: SetOption) -> Self {
        let values = option.values.into_iter().map(|value| NewValue {
            id: value.id,
            value: value.value,
        });
        NewOption {
            id: option.id,
            name: option.name,
            values: values.collect(),
        }
    }
}

/// Set the options of a product
///
/// For admins. Replaces the whole list. With an id, an option or a value gets another name and stays that of its variants. A
/// product without options gets its first ones here, and its variant the values in `assign`.
#[utoipa::path(put, path = "/products/{id}/options", tag = "catalog",
    security(("bearer" = [])),
    params(("id" = ProductId, Path), ("If-Match" = Option<String>, Header)),
    request_body = SetOptions,
    responses(
        (status = 200, body = ProductWithVariants, headers(("ETag"), ("X-Inventory-Seq"))),
        (status = 409, description = "`option-in-use`: a variant has a value that is not in the list"),
        (status = 412, description = "`precondition-failed`"),
        (status = 422, description = "`validation-failed`; codes `unknown-option`, `unknown-option-value`, `duplicate`, \
            `too-many`"),
    ))]
pub(crate) async fn set_product_options(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<ProductId>,
    _: NoQuery,
    headers: HeaderMap,
    Json(body): Json<SetOptions>,
) -> Result<Response> {
    let condition = Condition::from_headers(&headers, &header::IF_MATCH)?;
    let options: Vec<NewOption> = body.options.into_iter().map(NewOption::from).collect();
    check_sizes(&options)?;
    let assign = body.assign;
    let seq = app.bus.head();
    let product = app
        .write_as(&admin, "catalog.set_options", move |tx, _| {
            let current = catalog::product_for_update(tx, id)?;
            let current = catalog::with_variants(tx, current)?;
            check_if_match(condition.as_ref(), "product", &current)?;
            catalog::set_options(tx, &current, &options, &assign)
        })
        .await?;
    written(StatusCode::OK, &product, seq)
}
