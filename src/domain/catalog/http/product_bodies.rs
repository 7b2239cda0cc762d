//! Request bodies of products: fields as JSON or as a form, and uploaded images.

use std::sync::Arc;

use axum::extract::Request;
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type,
        schema::{AdditionalProperties, Schema},
    },
};

use super::variants::{CreateVariant, no_stock};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::CategoryId,
        money::{Currency, Price, Stock},
    },
    domain::{
        accounts::http::Admin,
        catalog::{
            Changes, Description, NewOption, NewProduct, NewProductWithVariants, NewValue,
            NewVariant, OptionName, OptionText, ProductName,
        },
        media::{self, ImageUpload, MAX_IMAGES_PER_PRODUCT, UploadedImage, http::MultipartForm},
    },
    infra::web::{
        body::read_body,
        extract::{JSON_LIMIT, deserialize_some, is_json, parse_fields, parse_json},
        openapi,
    },
};

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CreateProduct {
    name: ProductName,
    price: Price,
    #[serde(default)]
    description: Description,
    #[serde(default = "no_stock")]
    stock_quantity: Stock,
    #[serde(default)]
    category_id: Option<CategoryId>,
}

/// The body of a new product.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum CreateProductBody {
    Plain(CreateProduct),
    WithVariants(CreateProductWithVariants),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CreateProductWithVariants {
    name: ProductName,
    #[serde(default)]
    description: Description,
    #[serde(default)]
    category_id: Option<CategoryId>,
    /// None for a product with a single variant.
    #[serde(default)]
    #[schema(min_items = 0, max_items = 3)]
    options: Vec<CreateOption>,
    #[schema(min_items = 1, max_items = 200)]
    variants: Vec<CreateVariant>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateOption {
    name: OptionName,
    #[schema(min_items = 1, max_items = 50)]
    values: Vec<OptionText>,
}

impl From<CreateProductWithVariants> for NewProductWithVariants {
    fn from(body: CreateProductWithVariants) -> Self {
        let options = body.options.into_iter().map(|option| {
            let values = option.values.into_iter();
            NewOption {
                id: None,
                name: option.name,
                values: values.map(|value| NewValue { id: None, value }).collect(),
            }
        });
        NewProductWithVariants {
            name: body.name,
            description: body.description,
            category: body.category_id,
            options: options.collect(),
            variants: body.variants.into_iter().map(NewVariant::from).collect(),
        }
    }
}

/// Reads the body of a new product, and the uploaded files. A JSON body with `options` or `variants` has variants.
pub(super) async fn read_new_product(
    app: &App,
    request: Request,
) -> Result<(CreateProductBody, Vec<ImageUpload>)> {
    if !is_json(request.headers()) {
        let (body, files) = read_fields(app, request).await?;
        return Ok((CreateProductBody::Plain(body), files));
    }
    let body = read_body(request, JSON_LIMIT).await?;
    let has_variants = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body)
        .is_ok_and(|fields| {
            ["options", "variants"]
                .iter()
                .any(|key| fields.contains_key(*key))
        });
    let parsed = if has_variants {
        parse_json(&body).map(CreateProductBody::WithVariants)
    } else {
        parse_json(&body).map(CreateProductBody::Plain)
    };
    let parsed = parsed.map_err(|error| with_price_message(error, app.settings().currency));
    Ok((parsed?, Vec::new()))
}

impl From<CreateProduct> for NewProduct {
    fn from(body: CreateProduct) -> Self {
        NewProduct {
            name: body.name,
            description: body.description,
            price: body.price,
            stock: body.stock_quantity,
            category: body.category_id,
        }
    }
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct UpdateProduct {
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = ProductName, required = false)]
    name: Option<ProductName>,
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Price, required = false)]
    price: Option<Price>,
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Description, required = false)]
    description: Option<Description>,
    /// Requires `If-Match`.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Stock, required = false)]
    stock_quantity: Option<Stock>,
    /// `null` removes the product from its category.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Option<CategoryId>)]
    #[expect(
        clippy::option_option,
        reason = "absent, `null` and an id have different meanings"
    )]
    category_id: Option<Option<CategoryId>>,
}

impl From<UpdateProduct> for Changes {
    fn from(body: UpdateProduct) -> Self {
        Changes {
            name: body.name,
            description: body.description,
            price: body.price,
            stock: body.stock_quantity,
            category: body.category_id,
        }
    }
}

/// [`CreateProduct`] as a multipart form, with images.
pub(super) struct CreateProductForm;

/// [`UpdateProduct`] as a multipart form, with images to add.
pub(super) struct UpdateProductForm;

/// A multipart form with images only.
pub(super) struct ImagesForm;

impl PartialSchema for CreateProductForm {
    fn schema() -> RefOr<Schema> {
        form_schema(CreateProduct::schema())
    }
}

impl ToSchema for CreateProductForm {}

impl PartialSchema for UpdateProductForm {
    fn schema() -> RefOr<Schema> {
        form_schema(UpdateProduct::schema())
    }
}

impl ToSchema for UpdateProductForm {}

impl PartialSchema for ImagesForm {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property("images", images_schema())
            .required("images")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for ImagesForm {}

/// Returns the schema of a form with the fields of a JSON object, and files. No field can be `null`. An
/// optional field may be empty, since browsers send fields that were left blank, and is then ignored.
fn form_schema(body: RefOr<Schema>) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut form)) = body else {
        return body;
    };
    for (name, field) in &mut form.properties {
        openapi::forbid_null(field);
        if !form.required.contains(name) {
            openapi::allow_empty(field);
        }
    }
    form.properties
        .insert("images".to_owned(), images_schema().into());
    RefOr::T(Schema::Object(form))
}

fn images_schema() -> ArrayBuilder {
    let file = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .content_media_type("application/octet-stream");
    ArrayBuilder::new()
        .items(file)
        .min_items(Some(1))
        .max_items(Some(MAX_IMAGES_PER_PRODUCT))
        .description(Some("Files of up to 5 MiB each: JPEG, PNG, WebP or GIF."))
}

/// The text fields of a form.
const FIELDS: [&str; 5] = [
    "name",
    "price",
    "description",
    "stockQuantity",
    "categoryId",
];

/// Reads the fields of a JSON body or a form, and the uploaded files.
pub(super) async fn read_fields<T: DeserializeOwned + PartialSchema>(
    app: &App,
    request: Request,
) -> Result<(T, Vec<ImageUpload>)> {
    let read = read_body_or_form(app, request).await;
    read.map_err(|error| with_price_message(error, app.settings().currency))
}

/// Bodies are parsed without knowing the shop's currency, so the message about an invalid price is set
/// afterwards.
fn with_price_message(error: Error, currency: Currency) -> Error {
    let mut fields = error.fields().to_vec();
    let is_price = |name: &str| name == "price" || name.ends_with("].price");
    let mut has_invalid = false;
    for field in &mut fields {
        if is_price(&field.field) && field.code == "invalid" {
            field.message = Price::rule(currency);
            has_invalid = true;
        }
    }
    if !has_invalid {
        return error;
    }
    Error::invalid(fields)
}

async fn read_body_or_form<T: DeserializeOwned + PartialSchema>(
    app: &App,
    request: Request,
) -> Result<(T, Vec<ImageUpload>)> {
    if is_json(request.headers()) {
        let body = read_body(request, JSON_LIMIT).await?;
        return Ok((parse_json(&body)?, Vec::new()));
    }
    let mut form = MultipartForm::read(app, request, &FIELDS).await?;
    let texts = std::mem::take(&mut form.texts);
    let fields = texts.into_iter().map(|(name, text)| {
        let value = match name.as_str() {
            "price" | "stockQuantity" => text
                .trim()
                .parse::<i64>()
                .map_or(text.into(), serde_json::Value::from),
            _ => text.into(),
        };
        (name, value)
    });
    form.check(parse_fields(fields.collect()))
}

/// Runs a write of an admin who has uploaded images. If it fails, deletes them from the image store.
pub(super) async fn write_with_images<T, F>(
    app: &Arc<App>,
    admin: &Admin,
    name: &'static str,
    images: Vec<UploadedImage>,
    mut work: F,
) -> Result<T>
where
    T: Send + 'static,
    F: FnMut(&mut crate::infra::db::Tx<'_>, &[UploadedImage]) -> Result<T> + Send + 'static,
{
    let attached = images.clone();
    let result = app
        .write_as(admin, name, move |tx, _| work(tx, &attached))
        .await;
    if result.is_err() {
        media::delete_uploaded(app, &images).await;
    }
    result
}
