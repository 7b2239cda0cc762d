//! Health checks for load balancers: `/healthz` (liveness) and `/readyz` (readiness). An admin sees what was checked.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    response::{IntoResponse, Response},
};
use http::header;
use serde::Serialize;

use super::{
    checks::{self, Check},
    problem_response::{PROBLEM_JSON, document},
    problems,
};
use crate::{
    app::App,
    core::error::{Error, Result},
    domain::accounts::http::Admin,
    infra::web::{
        extract::NoQuery,
        request_context,
        respond::{self, ResponseError},
    },
};

/// Liveness: the process handles requests.
pub(super) async fn healthz(_: NoQuery) -> Result<Response> {
    respond::ok(&serde_json::json!({ "status": "ok" }))
}

/// Readiness: the database accepts writes and the server is not stopping. With the token of an admin, the response
/// has the checks, too.
///
/// Errors: `unavailable`.
pub(super) async fn readyz(
    State(app): State<Arc<App>>,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let readiness = checks::readiness(&app).await;
    if !is_admin(&app, request).await {
        readiness?;
        return respond::ok(&serde_json::json!({ "status": "ready" }));
    }
    let checks = checks::run(&app, &readiness).await;
    match readiness {
        Ok(()) => respond::ok(&serde_json::json!({ "status": "ready", "checks": checks })),
        Err(error) => unready(&app, error, &checks),
    }
}

/// Any other client gets the plain response, not an error: a load balancer may send headers of its own.
async fn is_admin(app: &Arc<App>, request: Request) -> bool {
    let has_token = request.headers().contains_key(header::AUTHORIZATION);
    let (mut parts, _) = request.into_parts();
    has_token && Admin::from_request_parts(&mut parts, app).await.is_ok()
}

/// Returns the problem of a shop that is not ready, with the checks as an extension member (RFC 9457, section 3.2).
fn unready(app: &App, error: Error, checks: &[Check]) -> Result<Response> {
    #[derive(Serialize)]
    struct Unready<'a> {
        #[serde(flatten)]
        problem: respond::Problem<'a>,
        checks: &'a [Check],
    }
    let request_id = request_context::request_id();
    let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
    let Some(kind) = problems::of_kind(error.kind()) else {
        return Err(error);
    };
    let problem = document(app, kind, Some(&error), request_id.unwrap_or_default());
    let body = respond::to_json(&Unready { problem, checks })?;
    let mut response = error.into_response();
    response.extensions_mut().remove::<ResponseError>();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, PROBLEM_JSON.clone());
    *response.body_mut() = Body::from(body);
    Ok(response)
}
