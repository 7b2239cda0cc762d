//! The route of the audit log.

use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::{
    app::{Routes, State},
    core::{
        audit::Action,
        error::{Error, Kind, Result},
        pagination::{CursorPage, KeyType, ListRequest, PageLimit},
    },
    domain::accounts::http::Admin,
    infra::{
        audit::{self, Entry, Filters, Selector},
        web::{
            extract::{Query, not_one_of, parse_timestamp},
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
    #[param(
        pattern = "^([A-Za-z]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
    )]
    actor: Option<String>,
    #[param(value_type = Option<Action>, inline)]
    action: Option<String>,
    /// The id of the changed resource, or its type, e.g. `order`.
    #[param(
        pattern = "^([A-Za-z]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
    )]
    target: Option<String>,
    /// Changed at or after this timestamp (RFC 3339).
    #[param(format = DateTime)]
    from: Option<String>,
    /// Changed before this timestamp (RFC 3339).
    #[param(format = DateTime)]
    to: Option<String>,
}

/// List who changed what, newest first
///
/// Only admins can read the audit log. It has the changes by admins and commands, one entry for each, and
/// cannot be changed.
#[utoipa::path(get, path = "/admin/audit", tag = "audit", security(("bearer" = [])),
    params(AuditQuery),
    responses((status = 200, body = CursorPage<Entry>)))]
pub(crate) async fn list_audit(
    axum::extract::State(app): State,
    admin: Admin,
    Query(query): Query<AuditQuery>,
) -> Result<Response> {
    let filters = query.filters()?;
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

impl AuditQuery {
    fn filters(&self) -> Result<Filters> {
        let selector = |name: &str, value: &Option<String>| {
            let parse = |text: &String| {
                Selector::parse(text).ok_or_else(|| {
                    let detail = format!("`{name}` must be an id, or the name of a type");
                    Error::new(Kind::InvalidQuery, detail)
                })
            };
            value.as_ref().map(parse).transpose()
        };
        let timestamp = |name: &str, value: &Option<String>| {
            let text = value.as_deref();
            text.map(|text| parse_timestamp(name, text)).transpose()
        };
        Ok(Filters {
            actor: selector("actor", &self.actor)?,
            action: self.action.as_deref().map(parse_action).transpose()?,
            target: selector("target", &self.target)?,
            from: timestamp("from", &self.from)?,
            to: timestamp("to", &self.to)?,
        })
    }
}

fn parse_action(text: &str) -> Result<Action> {
    let names = Action::ALL.iter().map(|action| action.as_str());
    text.parse().map_err(|_| not_one_of("action", names))
}
