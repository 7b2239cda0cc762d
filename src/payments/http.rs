//! The routes of payments; the webhook's own is with the orders, which it moves.

use axum::{extract::OriginalUri, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::{LedgerEntry, ListedStatus};
use crate::{
    accounts::{self, http::Admin},
    error::{Error, Kind, Result},
    page::{Page, PageLimit, PageNumber, PageRequest},
    web::{Routes, State, extract::Query, respond},
};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(list_payments))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PaymentsQuery {
    /// From 1.
    #[param(inline)]
    page: Option<PageNumber>,
    /// 20 if not given.
    #[param(inline)]
    limit: Option<PageLimit>,
    #[param(value_type = Option<ListedStatus>, inline)]
    status: Option<String>,
}

/// Payments, and what the provider sent that fits none
///
/// `unmatched` lists signed webhooks that fit no payment or could not be read. `reason` says why.
#[utoipa::path(get, path = "/admin/payments", tag = "payments", security(("bearer" = [])),
    params(PaymentsQuery),
    responses((status = 200, body = Page<LedgerEntry>)))]
pub(crate) async fn list_payments(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Query(query): Query<PaymentsQuery>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let page = PageRequest::new(query.page, query.limit);
    let status = query
        .status
        .map(|text| {
            ListedStatus::parse(&text).ok_or_else(|| {
                let detail =
                    "`status` must be `unmatched`, `captured`, `refunded`, `failed` or `created`";
                Error::new(Kind::InvalidQuery, detail)
            })
        })
        .transpose()?;
    let listed = app
        .db
        .scan("payments.list", move |tx| {
            accounts::admin(tx, &claims)?;
            super::list(tx, status, page)
        })
        .await?;
    respond::page(uri.path(), uri.query(), &listed)
}
