//! Health checks for load balancers: `/healthz` (liveness) and `/readyz` (readiness).

use std::sync::Arc;

use axum::{extract::State, response::Response};

use crate::{
    app::App,
    core::error::{Error, Result},
    infra::{
        db,
        web::{extract::NoQuery, respond},
    },
};

/// Liveness: the process handles requests.
pub(super) async fn healthz(_: NoQuery) -> Result<Response> {
    respond::ok(&serde_json::json!({ "status": "ok" }))
}

/// Readiness: the database accepts writes and the server is not stopping.
///
/// Errors: `unavailable`.
pub(super) async fn readyz(State(app): State<Arc<App>>, _: NoQuery) -> Result<Response> {
    if app.stopping.is_cancelled() {
        return Err(Error::unavailable("the server is stopping"));
    }
    app.readiness
        .run(app.db.write("server.ready", db::ping))
        .await?;
    respond::ok(&serde_json::json!({ "status": "ready" }))
}
