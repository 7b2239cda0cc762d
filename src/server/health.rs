//! Health checks for load balancers: `/healthz` (liveness) and `/readyz` (readiness). An admin sees what was checked.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    response::{IntoResponse, Response},
};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

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

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LivenessStatus {
    Ok,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Liveness {
    status: LivenessStatus,
}

/// Check that the server is alive
///
/// The process handles requests. Use it as a liveness probe.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Liveness)))]
pub(super) async fn healthz(_: NoQuery) -> Result<Response> {
    let status = LivenessStatus::Ok;
    respond::ok(&Liveness { status })
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReadinessStatus {
    Ready,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    status: ReadinessStatus,
    /// For admins only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    checks: Option<Vec<Check>>,
}

impl Readiness {
    fn response(checks: Option<Vec<Check>>) -> Result<Response> {
        let status = ReadinessStatus::Ready;
        respond::ok(&Readiness { status, checks })
    }
}

/// Check that the server is ready
///
/// The database accepts writes and the server is not stopping. Use it as a readiness probe. With the access token of
/// an admin, the response has what was checked, the problem of a server that is not ready, too.
#[utoipa::path(get, path = "/readyz", tag = "health", security((), ("bearer" = [])),
    responses((status = 200, body = Readiness)))]
pub(super) async fn readyz(
    State(app): State<Arc<App>>,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let readiness = checks::readiness(&app).await;
    if !is_admin(&app, request).await {
        readiness?;
        return Readiness::response(None);
    }
    let checks = checks::run(&app, &readiness).await;
    match readiness {
        Ok(()) => Readiness::response(Some(checks)),
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
