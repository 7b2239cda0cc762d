//! The route of the audit log.

use axum::response::Response;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::{
    app::{Routes, State},
    core::{
        audit::Action,
        clock::Timestamp,
        error::{Error, Result},
        pagination::{CursorPage, KeyType, ListRequest, PageLimit},
    },
    domain::accounts::http::Admin,
    infra::{
        audit::{self, Entry, Filters, Selector},
        web::{
            extract::{Query, one_of, parse_with, timestamp},
            respond,
        },
    },
};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(list_audit))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Defaults to 20.
    #[param(inline)]
    limit: Option<PageLimit>,
    /// The previous `nextCursor`; omitted or empty to start.
    cursor: Option<String>,
    /// The id of an account, or `USER`, `CLI` or `SYSTEM`.
    #[serde(default, deserialize_with = "selector")]
    #[param(
        value_type = Option<String>,
        pattern = "^([A-Za-z]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
    )]
    actor: Option<Selector>,
    #[serde(default, deserialize_with = "action")]
    #[param(inline)]
    action: Option<Action>,
    /// The id of the changed resource, or its type, e.g. `order`.
    #[serde(default, deserialize_with = "selector")]
    #[param(
        value_type = Option<String>,
        pattern = "^([A-Za-z]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
    )]
    target: Option<Selector>,
    /// Changed at or after this timestamp (RFC 3339).
    #[serde(default, deserialize_with = "timestamp")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Changed before this timestamp (RFC 3339).
    #[serde(default, deserialize_with = "timestamp")]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

fn selector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Selector>, D::Error> {
    let rule = "must be an id, or the name of a type";
    parse_with(deserializer, |text| Selector::parse(text).ok_or(rule))
}

fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Action>, D::Error> {
    let names = || Action::ALL.iter().map(|action| action.as_str());
    parse_with(deserializer, |text| {
        text.parse().map_err(|_| one_of(names()))
    })
}

/// List who changed what, newest first
///
/// For admins. The audit log has the changes by admins and commands, one entry for each, and
/// cannot be changed.
#[utoipa::path(get, path = "/admin/audit", tag = "audit", security(("bearer" = [])),
    params(AuditQuery),
    responses((status = 200, body = CursorPage<Entry>)))]
pub(crate) async fn list_audit(
    axum::extract::State(app): State,
    admin: Admin,
    Query(query): Query<AuditQuery>,
) -> Result<Response> {
    let filters = Filters {
        actor: query.actor,
        action: query.action,
        target: query.target,
        from: query.from,
        to: query.to,
    };
    let cursor = query.cursor.as_deref().unwrap_or_default();
    let scope = filters.scope();
    let request = ListRequest::new(None, query.limit, Some(cursor), scope, KeyType::Number)?;
    let ListRequest::Cursor(request) = request else {
        return Err(Error::internal("expected a cursor"));
    };
    // So that admins find what they have just done.
    app.db.flush_events().await?;
    let listed = app
        .long_read_as(&admin, "audit.list", move |tx, _| {
            audit::list(tx, &filters, &request)
        })
        .await?;
    respond::ok(&listed)
}
