//! What comes in with a product: its fields, as JSON or as a form, and its pictures.

use std::sync::Arc;

use axum::extract::Request;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::{
    catalog::{Changes, Description, NewProduct, ProductName},
    error::Result,
    id::CategoryId,
    media::{self, Draft, Stored, http::Upload},
    money::{Price, Stock},
    web::{
        App,
        body::read_body,
        extract::{JSON_LIMIT, is_json, parse_json, parse_value},
    },
};

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewProductBody {
    name: ProductName,
    price: Price,
    #[serde(default)]
    description: Description,
    #[serde(default = "no_stock")]
    stock_quantity: Stock,
    #[serde(default)]
    category_id: Option<CategoryId>,
}

impl From<NewProductBody> for NewProduct {
    fn from(body: NewProductBody) -> Self {
        NewProduct {
            name: body.name,
            description: body.description,
            price: body.price,
            stock: body.stock_quantity,
            category: body.category_id,
        }
    }
}

fn no_stock() -> Stock {
    Stock::NONE
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ProductChanges {
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

impl From<ProductChanges> for Changes {
    fn from(body: ProductChanges) -> Self {
        Changes {
            name: body.name,
            description: body.description,
            price: body.price,
            stock: body.stock_quantity,
            category: body.category_id,
        }
    }
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
pub(super) struct ProductForm {
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
pub(super) struct ImagesForm {
    /// Up to 8 files of 5 MiB: JPEG, PNG, WebP or GIF.
    #[schema(value_type = Vec<String>, format = Binary, content_media_type = "application/octet-stream")]
    images: Vec<Vec<u8>>,
}

/// The fields of a body, be it JSON or a form, and the files that came along.
pub(super) async fn read_fields<T: serde::de::DeserializeOwned>(
    app: &App,
    request: Request,
) -> Result<(T, Vec<Draft>)> {
    if is_json(request.headers()) {
        let body = read_body(request, JSON_LIMIT).await?;
        return Ok((parse_json(&body)?, Vec::new()));
    }
    let upload = Upload::read(app, request).await?;
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

/// Runs a write that pictures belong to; if it fails, they leave the store again.
pub(super) async fn write_with_images<T, F>(
    app: &Arc<App>,
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
        media::worker::discard(app, &images).await;
    }
    answer
}
