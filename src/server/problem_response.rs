//! Writes errors as `application/problem+json` (RFC 9457) and logs those of the server, once.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, header};

use super::problems;
use crate::{
    app::App,
    core::{
        error::{Error, Kind, chain},
        problem::ProblemType,
    },
    infra::web::{
        problems::by_status,
        respond::{self, Problem, ResponseError},
    },
};

/// The media type of errors.
pub(super) static PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Writes the problem as the body of an error response, and logs the error if it is the server's.
pub(super) fn write_problem(app: &App, mut response: Response, request_id: &str) -> Response {
    let error = response.extensions_mut().remove::<ResponseError>();
    if let Some(ResponseError(error)) = &error {
        match error.kind() {
            Kind::Internal | Kind::StorageFull => {
                tracing::error!(request_id, error = %chain(error.as_ref()), "request failed");
            }
            // Without its cause, so that overload does not flood the log.
            Kind::Unavailable => {
                tracing::warn!(request_id, detail = error.detail(), "service unavailable");
            }
            _ => {}
        }
    }
    let problem = match &error {
        Some(ResponseError(error)) => problems::of_kind(error.kind()),
        None if is_problem(&response) => return response,
        None => by_status(response.status().as_u16()),
    };
    let Some(problem) = problem else {
        return response;
    };
    let error = error.as_ref().map(|ResponseError(error)| error.as_ref());
    let body = document(app, problem, error, request_id);
    let body = serde_json::to_vec(&body).unwrap_or_default();
    *response.status_mut() = respond::status(problem.kind);
    *response.body_mut() = Body::from(Bytes::from(body));
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON.clone());
    response
}

/// Returns the body of an error response. Without an error, it says what the problem's page says.
pub(super) fn document<'a>(
    app: &App,
    problem: &'a ProblemType,
    error: Option<&'a Error>,
    request_id: &'a str,
) -> Problem<'a> {
    Problem {
        kind: format!("{}/problems/{}", app.base_path, problem.code()),
        title: problem.title,
        status: respond::status(problem.kind).as_u16(),
        detail: error.map_or(problem.remedy, Error::detail),
        code: problem.code(),
        request_id,
        errors: error.map_or(&[], Error::fields),
    }
}

fn is_problem(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE) == Some(&PROBLEM_JSON)
}
