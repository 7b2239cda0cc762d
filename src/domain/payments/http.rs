//! The admin routes of payments. The webhook is in `settlement`.

use axum::{extract::OriginalUri, response::Response};
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{LedgerEntry, ListedStatus, Note};
use crate::{
    app::{Routes, State},
    core::{
        error::Result,
        id::PaymentId,
        pagination::{Page, PageLimit, PageNumber, PageRequest},
    },
    domain::accounts::http::Admin,
    infra::web::{
        extract::{Json, NoQuery, Path, Query, parse_with},
        respond,
    },
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_payments))
        .routes(routes!(resolve_payment))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListPayments {
    /// Starts at 1.
    #[param(inline)]
    page: Option<PageNumber>,
    /// Defaults to 20.
    #[param(inline)]
    limit: Option<PageLimit>,
    #[serde(default, deserialize_with = "status")]
    #[param(inline)]
    status: Option<ListedStatus>,
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ListedStatus>, D::Error> {
    parse_with(deserializer, |text| {
        ListedStatus::parse(text).ok_or_else(|| format!("must be one of {}", ListedStatus::names()))
    })
}

/// List payments or unmatched events
///
/// For admins. `unmatched` lists signed webhooks that match no payment or cannot be parsed, and duplicate payments whose
/// refund failed; `reason` states why. `resolved` lists those that were resolved.
#[utoipa::path(get, path = "/admin/payments", tag = "payments", security(("bearer" = [])),
    params(ListPayments),
    responses((status = 200, body = Page<LedgerEntry>)))]
pub(crate) async fn list_payments(
    axum::extract::State(app): State,
    admin: Admin,
    Query(query): Query<ListPayments>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let page = PageRequest::new(query.page, query.limit);
    let listed = app
        .long_read_as(&admin, "payments.list", move |tx, _| {
            super::list(tx, query.status, page)
        })
        .await?;
    respond::page(uri.path(), uri.query(), &listed)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolvePayment {
    /// How it was resolved.
    note: Note,
}

/// Resolve an unmatched payment
///
/// For admins. Takes it off the list and records the admin, the time and the note. A repeat keeps the first note.
#[utoipa::path(post, path = "/admin/payments/{id}/resolve", tag = "payments",
    security(("bearer" = [])),
    params(("id" = PaymentId, Path)), request_body = ResolvePayment,
    responses(
        (status = 200, body = LedgerEntry),
        (status = 409, description = "`not-unmatched`: the payment of an order, or applied meanwhile"),
    ))]
pub(crate) async fn resolve_payment(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<PaymentId>,
    _: NoQuery,
    Json(body): Json<ResolvePayment>,
) -> Result<Response> {
    let entry = app
        .write_as(&admin, "payments.resolve", move |tx, admin| {
            super::resolve(tx, id.0, Some(admin.id), &body.note)
        })
        .await?;
    respond::ok(&entry)
}
