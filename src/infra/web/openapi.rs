//! The OpenAPI 3.1 document: generated from the handlers, then completed with the parts that all routes share.

use std::collections::BTreeSet;

use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        self, ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
        Schema, Type,
        path::{Operation, ParameterIn, PathItem},
        schema::{AnyOfBuilder, SchemaType},
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};

use super::{
    problems,
    respond::{self, Problem},
};
use crate::core::error::Field;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "shop",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(Problem, Field))
)]
struct Base;

/// Returns a document without routes, to which the routers add theirs.
pub fn base() -> openapi::OpenApi {
    let mut document = Base::openapi();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
    );
    let cart_token = ApiKeyValue::with_description("Cart-Token", "The token of a guest's cart");
    let cart_token = SecurityScheme::ApiKey(ApiKey::Header(cart_token));
    components.add_security_scheme("cartToken", cart_token);
    document
}

/// Adds the parts that all operations share: the general error responses with their problem codes, ids in
/// `camelCase`, and that optional values are omitted instead of `null`. `codes` are all problem codes.
pub fn complete(
    mut document: openapi::OpenApi,
    codes: impl Iterator<Item = &'static str>,
) -> openapi::OpenApi {
    list_codes(&mut document, codes);
    for (path, item) in &mut document.paths.paths {
        for (writes, operation) in operations(item) {
            if let Some(id) = &mut operation.operation_id {
                *id = camel_case(id);
            }
            let statuses: Vec<u16> = general_statuses(path, writes, operation).collect();
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    parameter.schema.iter_mut().for_each(forbid_null);
                    if parameter.parameter_in == ParameterIn::Query {
                        parameter.schema.iter_mut().for_each(allow_empty);
                    }
                }
            }
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                for content in body.content.values_mut() {
                    if let RefOr::T(content) = content {
                        content.schema.iter_mut().for_each(forbid_null);
                    }
                }
            }
            let responses = &mut operation.responses.responses;
            for status in statuses {
                let shared = Ref::from_response_name(response_name(status));
                responses
                    .entry(status.to_string())
                    .or_insert(RefOr::Ref(shared));
            }
            for (status, response) in responses {
                if let RefOr::T(response) = response {
                    complete_response(status, response);
                }
            }
        }
    }
    let components = document.components.get_or_insert_default();
    for status in GENERAL_STATUSES {
        let mut response = general_problem(status);
        complete_response(&status.to_string(), &mut response);
        let name = response_name(status);
        components.responses.insert(name, RefOr::T(response));
    }
    rename_generic_schemas(&mut document);
    document
}

/// The statuses of the problems that operations have in common.
const GENERAL_STATUSES: [u16; 12] = [400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503, 507];

/// Returns the general statuses that an operation may respond with.
fn general_statuses(
    path: &str,
    writes: bool,
    operation: &Operation,
) -> impl Iterator<Item = u16> + use<> {
    // An operation whose first requirement is empty takes a token, but does not need it.
    let needs_token = operation
        .security
        .as_ref()
        .and_then(|all| all.first())
        .is_some_and(|first| *first != SecurityRequirement::default());
    let has_path_id = path.contains('{');
    let has_body = operation.request_body.is_some();
    let is_limited = path.starts_with("/api/");
    GENERAL_STATUSES
        .into_iter()
        .filter(move |status| match status {
            401 | 403 => needs_token,
            404 => has_path_id,
            408 | 413 | 415 | 422 => has_body,
            429 => is_limited,
            507 => writes,
            _ => true,
        })
}

/// Returns the name of a general response: its reason phrase in `PascalCase`.
fn response_name(status: u16) -> String {
    reason(&status.to_string()).replace(' ', "")
}

/// Adds what a response lacks: a description, and the body and headers of a problem.
fn complete_response(status: &str, response: &mut Response) {
    if status >= "400" {
        problem_body(response);
    }
    if let Some(name) = header_of(status) {
        let header = HeaderBuilder::new().build();
        response.headers.insert(name.to_owned(), RefOr::T(header));
    }
    if response.description.is_empty() {
        reason(status).clone_into(&mut response.description);
    }
    for content in response.content.values_mut() {
        if let RefOr::T(content) = content {
            content.schema.iter_mut().for_each(rename_reference);
        }
    }
}

/// Adds the problem codes to the schema of a problem.
fn list_codes(document: &mut openapi::OpenApi, codes: impl Iterator<Item = &'static str>) {
    let components = document.components.get_or_insert_default();
    if let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut(&*Problem::name())
        && let Some(RefOr::T(Schema::Object(code))) = problem.properties.get_mut("code")
    {
        let codes: BTreeSet<_> = codes.collect();
        code.enum_values = Some(codes.into_iter().map(serde_json::Value::from).collect());
    }
}

/// Converts a handler's name to the `camelCase` that client generators use.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut id, word| {
        let mut chars = word.chars();
        id.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        id.push_str(chars.as_str());
        id
    })
}

/// Renames the instances of generic types as client generators do, e.g. `CursorPage_Product` to
/// `ProductCursorPage`. They refer to each other only where a schema is one of several.
fn rename_generic_schemas(document: &mut openapi::OpenApi) {
    let components = document.components.get_or_insert_default();
    let schemas = std::mem::take(&mut components.schemas);
    components.schemas = schemas
        .into_iter()
        .map(|(name, mut schema)| {
            if let RefOr::T(Schema::OneOf(either)) = &mut schema {
                either.items.iter_mut().for_each(rename_reference);
            }
            (schema_name(&name), schema)
        })
        .collect();
}

fn rename_reference(schema: &mut RefOr<Schema>) {
    if let RefOr::Ref(reference) = schema
        && let Some((path, name)) = reference.ref_location.rsplit_once('/')
    {
        reference.ref_location = format!("{path}/{}", schema_name(name));
    }
}

/// Returns the name of a schema for what utoipa writes as `Generic_Argument`: `ArgumentGeneric`.
fn schema_name(name: &str) -> String {
    name.rsplit('_').collect()
}

/// Returns the operations of a path, each with whether it may write.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let writes = [
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ];
    let writes = writes.into_iter().flatten().map(|it| (true, it));
    item.get.iter_mut().map(|it| (false, it)).chain(writes)
}

/// Removes `null` from the types of a schema.
pub fn forbid_null(schema: &mut RefOr<Schema>) {
    let is_null = |item: &RefOr<Schema>| {
        matches!(item, RefOr::T(Schema::Object(object))
            if object.schema_type == SchemaType::Type(Type::Null))
    };
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|kind| *kind != Type::Null);
                if let [only] = types.as_slice() {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
        }
        RefOr::T(Schema::OneOf(either)) => {
            either.items.retain(|item| !is_null(item));
            if either.items.len() == 1 {
                *schema = either.items.remove(0);
            }
        }
        _ => {}
    }
}

/// Adds the empty string to a schema: browsers send it for an empty form field, and it means that the value
/// is not set.
pub fn allow_empty(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema
        && object.schema_type == SchemaType::Type(Type::String)
    {
        if let Some(values) = &mut object.enum_values {
            values.push("".into());
            return;
        }
        if object.format.is_none() && object.pattern.is_none() && object.min_length.is_none() {
            return;
        }
    }
    let empty = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([""]));
    let either = AnyOfBuilder::new().item(schema.clone()).item(empty);
    *schema = either.into();
}

/// Returns a description, which every response must have (`OpenAPI` 3.1, section 4.8.17.1).
fn reason(status: &str) -> &'static str {
    status
        .parse()
        .ok()
        .and_then(|status: http::StatusCode| status.canonical_reason())
        .unwrap_or("Response")
}

fn general_problem(status: u16) -> Response {
    let codes: Vec<String> = problems::GENERAL
        .iter()
        .filter(|problem| respond::status(problem.kind).as_u16() == status)
        .map(|problem| format!("`{}`: {}", problem.code(), problem.title))
        .collect();
    ResponseBuilder::new().description(codes.join("; ")).build()
}

/// Returns the header that every response with this status has.
fn header_of(status: &str) -> Option<&'static str> {
    match status {
        "401" => Some("WWW-Authenticate"),
        "429" | "503" => Some("Retry-After"),
        _ => None,
    }
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
