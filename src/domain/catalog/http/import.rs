//! The admin's CSV import.

use std::sync::Arc;

use axum::{extract::Request, response::Response};
use http::header;

use crate::{
    app::State,
    core::error::{Error, Field, Kind, Result},
    domain::{
        accounts::http::Admin,
        catalog::{self, ImportFile, ImportSummary, RowError},
    },
    infra::web::{body::read_body, extract::NoQuery, respond},
};

/// The maximum size of a file, in bytes. The command `shop admin product import` has no limit.
const MAX_FILE: usize = 4 * 1024 * 1024;

/// The most invalid lines that a response lists.
const MAX_ERRORS: usize = 100;

/// Import products from a CSV file
///
/// For admins. The columns are those of `shop admin product import`: `id`, `name`, `description`, `price`, `stockQuantity`,
/// `stockAtExport`, `category`, `images`, `variantId`, `sku`, `barcode`, `option1`, `value1`, `option2`, `value2`, `option3`,
/// `value3`, `compareAtPrice`, `weightGrams`, in any order. The rows with the same `id` are the variants of one product. The
/// whole file is validated first. Either all lines are imported or none; `errors` names up to 100 invalid lines. The file
/// may have up to 4 MiB.
#[utoipa::path(post, path = "/admin/products/import", tag = "catalog", security(("bearer" = [])),
    request_body(
        content = String,
        content_type = "text/csv",
        example = "id,price\n01a2236a-b13c-7d20-8e51-0c9b7f4a2d61,139900\n",
    ),
    responses(
        (status = 200, body = ImportSummary),
        (status = 409, description = "`already-imported`: the stock differences of this file were imported before"),
    ))]
pub(crate) async fn import_products(
    axum::extract::State(app): State,
    admin: Admin,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok()?.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/csv")) {
        let detail = "send the file as `Content-Type: text/csv`";
        return Err(Error::new(Kind::UnsupportedMediaType, detail));
    }
    let text = read_body(request, MAX_FILE).await?;
    let currency = app.settings().currency;
    let read = move || ImportFile::read(&text, currency, |_| {});
    let csv = tokio::task::spawn_blocking(read).await;
    let csv = Arc::new(csv.map_err(Error::internal)?);

    let planned = Arc::clone(&csv);
    let plan = app
        .long_read_as(&admin, "catalog.survey", move |tx, _| {
            catalog::plan_import(tx, &planned)
        })
        .await?;
    reject_invalid(&plan.row_errors)?;
    let imported = app
        .write_as(&admin, "catalog.import", move |tx, _| {
            catalog::import(tx, &csv, &plan, |_| {})
        })
        .await?;
    let summary = imported.or_else(|errors| {
        reject_invalid(&errors)?;
        Err(Error::internal("an import failed without an error"))
    })?;
    respond::ok(&summary)
}

/// Errors: `validation-failed` if there is any error.
fn reject_invalid(errors: &[RowError]) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    let message = format!("errors: {}; nothing was changed", errors.len());
    let field =
        |error: &RowError| Field::new(format!("line {}", error.line), "invalid", error.why.clone());
    let fields = errors.iter().take(MAX_ERRORS).map(field);
    Err(Error::field("file", "invalid", message).with_fields(fields.collect()))
}
