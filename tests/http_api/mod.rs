//! The behaviour that all routes share: errors, headers, limits and the OpenAPI document.

mod client_address;
mod console;
mod content_encoding;
mod docs;
mod headers;
mod home;
mod injection;
mod openapi;
mod panics;
mod schemas;
mod schemathesis;
mod shop_live;
mod validation;

use http::Method;
use serde_json::{Value, json};
use shop::{core::problem::ProblemType, infra::web::respond, server::problems};

use crate::support::{Client, Operation, TestResponse, operations, snapshot, storage_test};

/// An id that does not exist.
const NO_ID: &str = "01900000-0000-7000-8000-000000000000";

/// Asserts that the response is a problem from the table of problem codes.
#[track_caller]
fn assert_problem(answer: &TestResponse, status: u16, code: &str) {
    answer.assert_problem(status, code);
    assert!(!answer.text("/detail").is_empty(), "{answer:?}");
    let known = problems::by_code(code).unwrap();
    let actual = (answer.status, answer.text("/title"));
    assert_eq!(
        actual,
        (respond::status(known.kind).as_u16(), known.title.to_owned())
    );
}

/// Calls an operation with these bytes as its JSON body, and ids that do not exist.
async fn send(
    client: &Client<'_>,
    operation: &Operation,
    body: impl Into<bytes::Bytes>,
) -> TestResponse {
    let headers = [("content-type", "application/json")];
    let path = operation.path_of(NO_ID);
    client
        .raw(operation.method.clone(), &path, &headers, body)
        .await
}

fn json_operations() -> Vec<Operation> {
    let found: Vec<_> = operations()
        .into_iter()
        .filter(|it| it.takes_json)
        .collect();
    assert!(found.len() >= 12, "{found:?}");
    found
}

storage_test! {
    async fn problem_bodies_have_a_stable_form(shop: TestShop) {
        let id = [("x-request-id", "request-1")];
        let body = json!({ "productId": NO_ID, "quantity": 0 });
        let ada = shop.customer("ada").await;
        let answer = ada.call(Method::POST, "/cart", &id, body).await;
        snapshot!(answer.json(), @r#"
        {
          "code": "validation-failed",
          "detail": "`quantity`: must be a whole number from 1 to 1000",
          "errors": [
            {
              "code": "invalid",
              "field": "quantity",
              "message": "must be a whole number from 1 to 1000"
            }
          ],
          "requestId": "request-1",
          "status": 422,
          "title": "Validation failed",
          "type": "/problems/validation-failed"
        }
        "#);
        let answer = shop.anonymous().call(Method::GET, "/nowhere", &id, Value::Null).await;
        snapshot!(answer.json(), @r#"
        {
          "code": "not-found",
          "detail": "Check the path and the id. A resource that belongs to another user is reported as not found, too.",
          "requestId": "request-1",
          "status": 404,
          "title": "Resource not found",
          "type": "/problems/not-found"
        }
        "#);
    }

    async fn unknown_paths_and_ids_are_not_found(shop: TestShop) {
        for client in [shop.anonymous(), shop.admin().await] {
            for path in [
                "/nowhere", "/api/v1", "/api/v1/", "/api/v2/products", "/api/v1/products/",
                "/api/v1//products", "/api/v1/PRODUCTS", "/problems/", "/problems/nothing",
                "/images/", "/images/nothing", "/images/a/b", "/console/console.js", "/demo/session",
                "/docs/nothing",
                "/products/not-an-id", "/products/1", "/products/%00", "/products/%ff%fe",
                "/products/'%20OR%201=1--", "/products/..%2f..%2fshop.db",
                &format!("/products/{NO_ID}"), &format!("/products/{NO_ID}/images"),
                &format!("/products/{}", "a".repeat(5_000)),
            ] {
                let answer = client.get(path).await;
                if answer.status == 405 {
                    assert_problem(&answer, 405, "method-not-allowed");
                } else {
                    assert_problem(&answer, 404, "not-found");
                }
            }
        }
        let admin = shop.admin().await;
        for path in ["/orders/x", "/admin/orders/x", &format!("/admin/orders/{NO_ID}")] {
            assert_problem(&admin.get(path).await, 404, "not-found");
        }
    }

    async fn wrong_methods_get_the_allowed_ones(shop: TestShop) {
        let admin = shop.admin().await;
        let outside = [
            "/healthz", "/readyz", "/openapi.json", "/shop-live.js", "/docs", "/problems/forbidden", "/images/x",
        ];
        let mut routes: Vec<(String, Vec<Method>)> =
            outside.iter().map(|path| ((*path).to_owned(), vec![Method::GET])).collect();
        for operation in operations() {
            let path = operation.path_of(NO_ID);
            match routes.iter_mut().find(|(known, _)| *known == path) {
                Some((_, methods)) => methods.push(operation.method),
                None => routes.push((path, vec![operation.method])),
            }
        }
        for (path, methods) in routes {
            let mut right: Vec<_> = methods.iter().map(Method::as_str).collect();
            if methods.contains(&Method::GET) {
                right.push("HEAD");
            }
            right.sort_unstable();
            for wrong in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
                if right.contains(&wrong) {
                    continue;
                }
                let wrong: Method = wrong.parse().unwrap();
                let answer = admin.call(wrong, &path, &[], Value::Null).await;
                assert_problem(&answer, 405, "method-not-allowed");
                let allow = answer.header("allow").unwrap();
                let mut listed: Vec<_> = allow.split(',').map(str::trim).collect();
                listed.sort_unstable();
                assert_eq!(listed, right, "{path} allows exactly the documented methods");
            }
        }
    }

    async fn bodies_that_are_not_json_are_rejected(shop: TestShop) {
        let admin = shop.admin().await;
        let deep = "[".repeat(10_000);
        let deep_inside = format!("{{\"name\":{deep}");
        let broken: [&[u8]; 12] = [
            b"", b" ", b"{", b"{\"name\":", b"nothing", b"{'name':1}", b"{\"name\":1,}", b"{} {}",
            b"\xff\xfe", b"{\"name\":\"\xc3\x28\"}", deep.as_bytes(), deep_inside.as_bytes(),
        ];
        for operation in json_operations() {
            for body in broken {
                let answer = send(&admin, &operation, body.to_vec()).await;
                // Three operations have optional bodies. Without one the first succeeds, and the others fail for another
                // reason.
                if operation.path == "/api/v1/carts" && body.is_empty() {
                    assert_eq!(answer.status, 201, "{answer:?}");
                    continue;
                }
                let missing = match operation.path.as_str() {
                    "/api/v1/orders" => Some((409, "cart-empty")),
                    "/api/v1/admin/orders/{id}/refund" => Some((404, "not-found")),
                    _ => None,
                };
                if let Some((status, code)) = missing.filter(|_| body.is_empty()) {
                    assert_problem(&answer, status, code);
                    continue;
                }
                let (sent, received) = (body.escape_ascii(), answer.body.escape_ascii());
                assert_eq!(answer.status, 400, "{operation:?} {sent}: {received}");
                assert_problem(&answer, 400, "malformed-json");
            }
        }
    }

    async fn json_of_the_wrong_type_is_rejected(shop: TestShop) {
        let admin = shop.admin().await;
        let shapes = ["[]", "[null]", "[\"Kitchen\"]", "\"text\"", "17", "true", "[[]]", " [{}]"];
        for operation in json_operations() {
            for shape in shapes {
                let answer = send(&admin, &operation, shape).await;
                assert_eq!(answer.status, 422, "{operation:?} {shape}: {answer:?}");
                assert_problem(&answer, 422, "validation-failed");
            }
        }
        assert_eq!(admin.get("/categories").await.json()["data"], json!([]));
    }

    async fn unknown_fields_are_rejected(shop: TestShop) {
        let admin = shop.admin().await;
        for operation in json_operations() {
            let answer = send(&admin, &operation, "{\"surprise\":1}").await;
            assert_eq!(answer.status, 422, "{operation:?}: {answer:?}");
            assert_problem(&answer, 422, "validation-failed");
            // Missing fields may follow.
            assert_eq!(answer.invalid_fields()[0], "surprise", "{operation:?}");
        }
        let twice = "{\"name\":\"Kitchen\",\"name\":\"Garden\"}";
        let json = [("content-type", "application/json")];
        admin.raw(Method::POST, "/categories", &json, twice).await.assert_invalid_field("name");
    }

    async fn unknown_query_parameters_are_rejected(shop: TestShop) {
        let admin = shop.admin().await;
        for operation in operations() {
            if operation.path.ends_with("/webhook") {
                continue;
            }
            for query in ["nonsense=1", "Page=1", "%00=1"] {
                let path = format!("{}?{query}", operation.path_of(NO_ID));
                let answer = admin.call(operation.method.clone(), &path, &[], Value::Null).await;
                assert_eq!(answer.status, 400, "{operation:?} {query}: {answer:?}");
                assert_problem(&answer, 400, "invalid-query");
            }
        }
    }

    async fn other_media_types_are_rejected(shop: TestShop) {
        let admin = shop.admin().await;
        for operation in json_operations() {
            for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "x"] {
                let path = operation.path_of(NO_ID);
                let kind = [("content-type", kind)];
                let answer = admin.raw(operation.method.clone(), &path, &kind, "{}").await;
                assert_eq!(answer.status, 415, "{operation:?}: {answer:?}");
                assert_problem(&answer, 415, "unsupported-media-type");
            }
            let path = operation.path_of(NO_ID);
            let answer = admin.raw(operation.method.clone(), &path, &[], "{}").await;
            assert_problem(&answer, 415, "unsupported-media-type");
        }
        for kind in ["application/json; charset=utf-8", "Application/JSON", "application/json;x=y"] {
            let body = format!("{{\"name\":\"{}\"}}", kind.replace('/', " "));
            let kind = [("content-type", kind)];
            assert_eq!(admin.raw(Method::POST, "/categories", &kind, body).await.status, 201);
        }
    }

    async fn bodies_above_the_limit_are_rejected(shop: TestShop) {
        let admin = shop.admin().await;
        let of_size = |size: usize| format!("{{\"surprise\":\"{}\"}}", "x".repeat(size - 15));
        for operation in json_operations() {
            // A collection may have 10,000 products.
            let limit = if operation.path.contains("/collections") { 1024 * 1024 } else { 256 * 1024 };
            let fit = of_size(limit);
            assert_eq!(fit.len(), limit);
            let large = format!("{fit} ");
            assert_problem(&send(&admin, &operation, fit).await, 422, "validation-failed");
            assert_problem(&send(&admin, &operation, large).await, 413, "payload-too-large");
        }
        let hook = "/payments/razorpay/webhook";
        let signature = "00".repeat(32);
        let signed = [("x-razorpay-signature", signature.as_str())];
        let answer = admin.raw(Method::POST, hook, &signed, vec![b' '; 1024 * 1024 + 1]).await;
        assert_problem(&answer, 413, "payload-too-large");
    }

    async fn every_problem_code_has_a_page(shop: TestShop) {
        let status = |problem: &ProblemType| respond::status(problem.kind).as_u16();
        for problem in problems::ALL.iter() {
            let page = shop.anonymous().get(&format!("/problems/{}", problem.code())).await;
            assert_eq!(page.status, 200, "{}", problem.code());
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
            let text = std::str::from_utf8(&page.body).unwrap();
            let shown = [problem.code().to_owned(), status(problem).to_string()];
            assert!(shown.iter().all(|it| text.contains(it)) && !text.contains("{{"), "{text}");
            let is_code = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(problem.code().chars().all(is_code), "{}", problem.code());
        }
        let key = |problem: &ProblemType| (problem.code(), status(problem));
        let mut codes: Vec<_> = problems::ALL.iter().map(key).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), problems::ALL.len());
        let style = shop.anonymous().get("/problems/page.css").await;
        assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    }

    async fn health_and_readiness_are_reported(shop: TestShop) {
        let ready = shop.anonymous().get("/readyz").await;
        assert_eq!((ready.status, ready.json()), (200, json!({ "status": "ready" })));

        shop.app.stopping.cancel();
        let stopping = shop.anonymous().get("/readyz").await;
        assert_problem(&stopping, 503, "unavailable");
        assert!(stopping.header("retry-after").is_some());
        let alive = shop.anonymous().get("/healthz").await;
        assert_eq!((alive.status, alive.json()), (200, json!({ "status": "ok" })));
    }

    async fn a_closed_database_is_unavailable(shop: TestShop) {
        let ada = shop.customer("ada").await;
        shop.app.db.close().await;
        let answer = ada.post("/cart", json!({ "productId": NO_ID })).await;
        assert_problem(&answer, 503, "unavailable");
        assert!(answer.header("retry-after").is_some());
        assert_problem(&shop.anonymous().get("/readyz").await, 503, "unavailable");
    }
}
