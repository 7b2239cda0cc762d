//! The OpenAPI document describes exactly the routes of the API.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;
use shop::{
    core::problem::ProblemType,
    infra::web::respond,
    server::{document, problems},
};

use crate::support::{document::resolved, generated, operations, storage_test};

storage_test! {
    async fn the_document_is_served(shop: TestShop) {
        let served = shop.anonymous().get("/openapi.json").await;
        assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
        let document = served.json();
        assert_eq!(document, shop::server::document());
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"][0]["url"], "/");
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    }
}

/// Returns the operations of the whole document by their ids.
fn all_operations(document: &Value) -> BTreeMap<&str, &Value> {
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    operations
        .map(|operation| (operation["operationId"].as_str().unwrap(), operation))
        .collect()
}

/// CI lints the file, and reports changes of it that break clients.
#[test]
fn the_checked_in_document_is_current() {
    let text = serde_json::to_string_pretty(&document()).unwrap();
    generated::check("assets/openapi.json", &format!("{text}\n"), "openapi");
}

#[test]
fn every_operation_is_documented() {
    let mut ids = BTreeSet::new();
    for operation in operations() {
        let (method, path, text) = (&operation.method, &operation.path, &operation.text);
        let id = text["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "duplicate id {id}");
        let is_camel = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(is_camel, "{id}");
        assert!(
            text["summary"].as_str().is_some_and(|it| !it.is_empty()),
            "{id}"
        );
        assert_eq!(text["tags"].as_array().map(Vec::len), Some(1), "{id}");

        let named = path.split('/').filter(|part| part.starts_with('{')).count();
        let parameters = text["parameters"].as_array().cloned().unwrap_or_default();
        let in_path = parameters.iter().filter(|it| it["in"] == "path").count();
        assert_eq!(in_path, named, "{method} {path}");

        let responses = text["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|it| it.as_str() < "300"),
            "{id} never succeeds"
        );
        for (status, response) in responses {
            let description = response["description"].as_str().unwrap();
            let assert_problem = response["content"]
                .get("application/problem+json")
                .is_some();
            assert_eq!(
                assert_problem,
                status.as_str() >= "400",
                "{id} {status}: {description}"
            );
            for code in description.split('`').skip(1).step_by(2) {
                // A description of an error quotes its codes in backticks.
                if problems::by_code(code).is_some() {
                    let matches = |it: &ProblemType| {
                        it.code() == code && respond::status(it.kind).as_str() == status
                    };
                    assert!(
                        problems::ALL.iter().any(matches),
                        "{id}: {code} as {status}"
                    );
                }
            }
        }
    }
}

#[test]
fn schemas_are_named_as_client_generators_do() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        let is_pascal = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(is_pascal, "{name}");
    }
    for name in [
        "AuditEntryCursorPage",
        "InventoryUpdateMessage",
        "LedgerEntryPage",
        "MailCursorPage",
        "OrderCursorPage",
        "OrderList",
        "OrderPage",
        "ProductCursorPage",
        "ProductList",
        "ProductPage",
        "StockMovementCursorPage",
        "SubscribeMessage",
        "UserPage",
    ] {
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[test]
fn public_operations_say_that_they_need_no_token() {
    let document = document();
    let public: Vec<_> = all_operations(&document)
        .into_iter()
        .filter(|(_, operation)| operation["security"].as_array().is_some_and(Vec::is_empty))
        .map(|(id, _)| id)
        .collect();
    assert_eq!(
        public,
        [
            "createGuestCart",
            "followInventory",
            "forgotPassword",
            "getCollection",
            "getImage",
            "getProduct",
            "getVariant",
            "healthz",
            "listCategories",
            "listCollections",
            "listInventoryChanges",
            "listProducts",
            "login",
            "logout",
            "receiveWebhook",
            "refresh",
            "register",
            "resetPassword",
            "streamInventory",
            "verifyEmail",
        ]
    );
    // An admin's token is optional here.
    let readyz = all_operations(&document)["readyz"];
    assert_eq!(
        readyz["security"],
        serde_json::json!([{}, { "bearer": [] }])
    );
}

#[test]
fn operations_for_admins_say_so() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let description = operation["description"].as_str().unwrap_or_default();
            if path.starts_with("/api/v1/admin/") {
                assert!(description.starts_with("For admins"), "{method} {path}");
            }
        }
    }
}

#[test]
fn every_body_has_an_example() {
    let document = document();
    for (id, operation) in all_operations(&document) {
        let responses = operation["responses"].as_object().unwrap().values();
        let messages = responses
            .map(|it| resolved(&document, it))
            .chain(operation.get("requestBody"));
        for message in messages {
            for (kind, content) in message["content"].as_object().into_iter().flatten() {
                let examples = content["examples"]
                    .as_object()
                    .is_some_and(|it| !it.is_empty());
                let is_shown =
                    examples || content.get("example").is_some() || kind.starts_with("image/");
                assert!(is_shown, "{id}: {kind} of {message}");
            }
        }
    }
}

#[test]
fn every_header_is_described() {
    let document = document();
    for (id, operation) in all_operations(&document) {
        for response in operation["responses"].as_object().unwrap().values() {
            let headers = resolved(&document, response)["headers"]
                .as_object()
                .unwrap();
            assert!(headers.contains_key("X-Request-Id"), "{id}");
            for (name, header) in headers {
                let header = resolved(&document, header);
                assert!(header["description"].is_string(), "{id}: {name}");
                assert!(header["schema"].is_object(), "{id}: {name}");
            }
        }
    }
}

#[test]
fn every_tag_is_described() {
    let document = document();
    let described: BTreeSet<_> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|tag| tag["description"].as_str().is_some_and(|it| !it.is_empty()))
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let operations = all_operations(&document).into_values();
    let used: BTreeSet<_> = operations
        .map(|it| it["tags"][0].as_str().unwrap())
        .collect();
    assert_eq!(used, described);
}

/// A page refers to its items, so that client generators give them one type.
#[test]
fn pages_refer_to_their_items() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut pages = 0;
    for (name, schema) in schemas.iter().filter(|(name, _)| name.ends_with("Page")) {
        assert!(
            schema["properties"]["data"]["items"]["$ref"].is_string(),
            "{name}"
        );
        pages += 1;
    }
    assert!(pages >= 7, "{pages}");
}

#[test]
fn every_reference_resolves() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// `routes!` registers a route with its documentation; `.route(…)` registers it without.
#[test]
fn every_api_route_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut undocumented = Vec::new();
    visit(&root, &mut |path, text| {
        if !path.starts_with(root.join("server")) && text.contains(".route(") {
            undocumented.push(path.to_owned());
        }
    });
    assert!(undocumented.is_empty(), "use `routes!` in {undocumented:?}");
}

fn visit(folder: &Path, read: &mut dyn FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, read);
        } else {
            read(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}
