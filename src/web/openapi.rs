//! The OpenAPI 3.1 document: made from the handlers, completed with what holds on every route.

use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        self, ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{problems, respond::Problem};
use crate::error::Field;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "shop",
        description = "An e-commerce backend that is one program and one SQLite file. \
                       Amounts are integers in the currency's minor unit; times are RFC 3339, UTC; \
                       every error is `application/problem+json` (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(Problem, Field))
)]
struct Base;

/// The document without any route, for the routers to add to.
pub fn base() -> openapi::OpenApi {
    let mut document = Base::openapi();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
    );
    document
}

/// Adds to every operation what holds everywhere: errors as problems, and the codes by which they
/// come.
pub fn complete(mut document: openapi::OpenApi) -> openapi::OpenApi {
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            let needs_token = operation.security.is_some();
            let has_path_id = path.contains('{');
            let has_body = operation.request_body.is_some();
            let general: [(u16, bool); 11] = [
                (400, true),
                (401, needs_token),
                (403, needs_token),
                (404, has_path_id),
                (408, has_body),
                (413, has_body),
                (415, has_body),
                (422, has_body),
                (429, path.starts_with("/api/")),
                (500, true),
                (503, true),
            ];
            for (status, applies) in general {
                if applies {
                    operation
                        .responses
                        .responses
                        .entry(status.to_string())
                        .or_insert_with(|| RefOr::T(general_problem(status)));
                }
            }
            for (status, response) in &mut operation.responses.responses {
                let RefOr::T(response) = response else {
                    continue;
                };
                if status.as_str() >= "400" {
                    problem_body(response);
                }
                if response.description.is_empty() {
                    response.description = reason(status).to_owned();
                }
            }
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

/// What stands for a description, which every response must have (`OpenAPI` 3.1, section 4.8.17.1).
fn reason(status: &str) -> &'static str {
    status
        .parse()
        .ok()
        .and_then(|status: http::StatusCode| status.canonical_reason())
        .unwrap_or("Answer")
}

/// Codes that are their route's own, of statuses that every route has.
const OF_ROUTES: [&str; 6] = [
    "invalid-token",
    "invalid-code",
    "invalid-credentials",
    "invalid-signature",
    "idempotency-key-reused",
    "invalid-image",
];

fn general_problem(status: u16) -> Response {
    let codes: Vec<String> = problems::ALL
        .iter()
        .filter(|problem| problem.status == status)
        .filter(|problem| !OF_ROUTES.contains(&problem.code))
        .map(|problem| format!("`{}`: {}", problem.code, problem.title))
        .collect();
    ResponseBuilder::new().description(codes.join("; ")).build()
}

fn problem_body(response: &mut Response) {
    if response.content.is_empty() {
        let schema = Ref::from_schema_name(Problem::name());
        response.content.insert(
            "application/problem+json".to_owned(),
            ContentBuilder::new().schema(Some(schema)).build().into(),
        );
    }
}
