//! The `OpenAPI` 3.1 document: what the routes declare, with tags, headers and examples.

use serde_json::{Map, Value, json};

use super::{problems, router::documented};
use crate::{
    core::problem::ProblemType,
    domain::{orders, settlement},
    infra::web::{openapi, respond},
};

const DESCRIPTION: &str = include_str!("../../assets/openapi/description.md");

/// The headers of responses, by name. A route declares only their names.
const HEADERS: &str = include_str!("../../assets/openapi/headers.json");

/// Examples by schema name. A schema with several examples has one per suffix, e.g. `ProductList.page`. The string
/// `@Name` refers to another example. `errors.CODE` are the field errors of a problem.
const EXAMPLES: &str = include_str!("../../assets/openapi/examples.json");

const REQUEST_ID: &str = "01a2236a-aedf-7b94-ab6a-6e3292a13326";

/// The tags in the order in which a reader needs them.
const TAGS: [(&str, &str); 10] = [
    (
        "accounts",
        "Registration, sign-in, the current user, and users for admins.",
    ),
    ("catalog", "Categories, products and their stock."),
    ("images", "The files of product images."),
    ("cart", "The cart of the current user."),
    (
        "orders",
        "Orders of the current user, and all orders for admins.",
    ),
    (
        "payments",
        "The provider's webhook, and the list of payments for admins.",
    ),
    ("mail", "The emails of the outbox, for admins."),
    (
        "live",
        "Changes of stock as they happen: by WebSocket, by server-sent events, and in pages.",
    ),
    ("audit", "Who changed what, for admins."),
    ("health", "Probes for load balancers."),
];

/// The statuses of the webhook: it accepts any body, has no limit, and takes no parameters.
const WEBHOOK_STATUSES: [&str; 7] = ["200", "401", "408", "413", "500", "503", "507"];

/// Returns the `OpenAPI` document of all routes that clients use.
pub fn document() -> Value {
    let codes = problems::ALL.iter().map(ProblemType::code);
    let document = openapi::complete(documented().into_openapi(), codes);
    // Only a map whose keys are not strings could fail, and there is none.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["info"]["description"] = json!(DESCRIPTION);
    document["info"]["contact"] = json!({ "name": "shop", "url": env!("CARGO_PKG_REPOSITORY") });
    document["servers"] =
        json!([{ "url": "/", "description": "The shop that serves this document" }]);
    document["tags"] = tags();
    let webhook = &mut document["paths"][format!("/api/v1{}", settlement::WEBHOOK_PATH)];
    if let Some(responses) = webhook["post"]["responses"].as_object_mut() {
        responses.retain(|status, _| WEBHOOK_STATUSES.contains(&status.as_str()));
    }
    refer_to_items(&mut document["components"]["schemas"]);
    name_live_messages(&mut document["components"]["schemas"]);
    let examples = examples();
    for operation in operations(&mut document) {
        complete_operation(operation, &examples);
    }
    let shared = document["components"]["responses"].as_object_mut();
    for (name, response) in shared.into_iter().flatten() {
        add_headers(
            response,
            &["Cache-Control", "RateLimit", "RateLimit-Policy"],
        );
        add_problem_examples(name, response);
    }
    document["components"]["headers"] = parse(HEADERS).into();
    let text = document.to_string();
    let mut examples = components(examples);
    examples.retain(|name, _| text.contains(&format!("#/components/examples/{name}\"")));
    document["components"]["examples"] = examples.into();
    document
}

/// Parses one of the embedded files, which tests read, too.
fn parse(file: &str) -> Map<String, Value> {
    serde_json::from_str(file).unwrap_or_default()
}

fn tags() -> Value {
    let tag = |(name, description): (&str, &str)| {
        let description = if name == "orders" {
            let transitions = orders::transitions_table();
            format!("{description} How the status of an order changes:\n\n{transitions}")
        } else {
            description.to_owned()
        };
        json!({ "name": name, "description": description })
    };
    TAGS.into_iter().map(tag).collect()
}

/// Replaces the items of pages, which utoipa writes out, by references to their schemas.
fn refer_to_items(schemas: &mut Value) {
    let Some(schemas) = schemas.as_object_mut() else {
        return;
    };
    let names: Vec<_> = schemas.keys().cloned().collect();
    for name in &names {
        let item = name
            .strip_suffix("CursorPage")
            .or_else(|| name.strip_suffix("Page"));
        if let Some(item) = item
            && names.iter().any(|name| name == item)
        {
            schemas[name]["properties"]["data"]["items"] = reference("schemas", item);
        }
    }
}

/// Moves the variants of the live inventory's messages, which utoipa writes out, to schemas of their own, for which client
/// generators have names.
fn name_live_messages(schemas: &mut Value) {
    let mut messages = Map::new();
    for union in ["LiveMessage", "LiveRequest"] {
        let variants = schemas[union]["oneOf"].as_array_mut();
        for variant in variants.into_iter().flatten() {
            let tag = ["/properties/type/enum/0", "/allOf/1/properties/type/enum/0"]
                .iter()
                .find_map(|path| variant.pointer(path)?.as_str());
            if let Some(tag) = tag {
                let name = format!("{}Message", pascal_case(tag));
                messages.insert(name.clone(), variant.take());
                *variant = reference("schemas", &name);
            }
        }
    }
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.append(&mut messages);
    }
}

/// Converts e.g. `INVENTORY_UPDATE` to `InventoryUpdate`.
fn pascal_case(tag: &str) -> String {
    let words = tag.split('_').filter_map(|word| {
        let (first, rest) = word.split_at_checked(1)?;
        Some(first.to_uppercase() + &rest.to_lowercase())
    });
    words.collect()
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut();
    let items = paths.into_iter().flat_map(Map::values_mut);
    items
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut)
}

fn complete_operation(operation: &mut Value, examples: &Map<String, Value>) {
    if operation["security"].is_null() {
        operation["security"] = json!([]);
    }
    let mut headers = Vec::new();
    if operation["security"][0]["bearer"].is_array() {
        headers.push("Cache-Control");
    }
    if operation["responses"]["429"].is_object() {
        headers.extend(["RateLimit", "RateLimit-Policy"]);
    }
    if let Some(body) = operation.get_mut("requestBody") {
        add_examples(body, examples);
    }
    let responses = operation["responses"].as_object_mut();
    for (status, response) in responses.into_iter().flatten() {
        if response.get("$ref").is_none() {
            add_headers(response, &headers);
            add_examples(response, examples);
            add_problem_examples(status, response);
        }
    }
}

/// Adds `X-Request-Id` and the given headers to a response, and refers to the shared description of each.
fn add_headers(response: &mut Value, names: &[&str]) {
    let declared = response["headers"].as_object();
    let declared = declared.into_iter().flat_map(Map::keys).cloned();
    let added = names.iter().chain(&["X-Request-Id"]);
    let names = declared.chain(added.map(|name| (*name).to_owned()));
    response["headers"] = names
        .map(|name| (name.clone(), reference("headers", &name)))
        .collect();
}

/// Adds the examples of the schema of a request's or response's body.
fn add_examples(message: &mut Value, examples: &Map<String, Value>) {
    let contents = message.get_mut("content").and_then(Value::as_object_mut);
    for content in contents.into_iter().flat_map(Map::values_mut) {
        let schema = content["schema"]["$ref"].as_str().unwrap_or_default();
        let schema = schema.rsplit('/').next().unwrap_or_default();
        let names = examples.keys().filter(|name| {
            let rest = name.strip_prefix(schema);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let found: Map<_, _> = names
            .map(|name| (name.clone(), reference("examples", name)))
            .collect();
        if !found.is_empty() {
            content["examples"] = found.into();
        }
    }
}

/// Adds an example for each problem code that the response's description quotes. `name` is the response's status or,
/// of a shared response, the reason phrase.
fn add_problem_examples(name: &str, response: &mut Value) {
    let is_of = |problem: &ProblemType, code: &str| {
        let status = respond::status(problem.kind);
        problem.code() == code && (status.as_str() == name || name.parse::<u16>().is_err())
    };
    let description = response["description"].as_str().unwrap_or_default();
    let codes = description.split('`').skip(1).step_by(2);
    let names = codes
        .flat_map(|code| problems::ALL.iter().filter(move |it| is_of(it, code)))
        .map(example_name);
    let found: Map<_, _> = names
        .map(|name| (name.clone(), reference("examples", &name)))
        .collect();
    if let Some(content) = response.pointer_mut("/content/application~1problem+json") {
        content["examples"] = found.into();
    }
}

/// Returns the code, with the status if it comes with several.
fn example_name(problem: &ProblemType) -> String {
    let code = problem.code();
    let status = respond::status(problem.kind);
    match problems::ALL.iter().filter(|it| it.code() == code).count() {
        1 => code.to_owned(),
        _ => format!("{code}-{}", status.as_u16()),
    }
}

/// Returns all examples of schemas, with the references among them resolved.
fn examples() -> Map<String, Value> {
    let all = parse(EXAMPLES);
    let resolve = |(name, value): (&String, &Value)| (name.clone(), resolved(value, &all));
    all.iter().map(resolve).collect()
}

/// Replaces the text `@Name` by the example of that name. In the field `@` it adds the fields of that example.
fn resolved(value: &Value, examples: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('@').and_then(|name| examples.get(name)) {
            Some(example) => resolved(example, examples),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| resolved(item, examples)).collect(),
        Value::Object(fields) => {
            let mut object = Map::new();
            for (name, field) in fields {
                match (name.as_str(), resolved(field, examples)) {
                    ("@", Value::Object(mut shared)) => object.append(&mut shared),
                    (_, field) => {
                        object.insert(name.clone(), field);
                    }
                }
            }
            Value::Object(object)
        }
        _ => value.clone(),
    }
}

/// Returns the examples as components: those of schemas, and one for each problem.
fn components(mut examples: Map<String, Value>) -> Map<String, Value> {
    for problem in problems::ALL.iter() {
        let code = problem.code();
        let mut example = json!({
            "type": format!("/problems/{code}"),
            "title": problem.title,
            "status": respond::status(problem.kind).as_u16(),
            "detail": problem.remedy,
            "code": code,
            "requestId": REQUEST_ID,
        });
        if let Some(errors) = examples.remove(&format!("errors.{code}")) {
            example["errors"] = errors;
        }
        examples.insert(example_name(problem), example);
    }
    let component = |(name, value)| (name, json!({ "value": value }));
    examples.into_iter().map(component).collect()
}
