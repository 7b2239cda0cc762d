//! The headers of every response: request id, security headers, caching, CORS and rate limits.

use http::Method;
use serde_json::{Value, json};

use super::{NO_ID, assert_problem, client_address::exhaust};
use crate::support::{Client, Form, TestResponse, TestShop, images, storage_test};

const STOREFRONT: &str = "https://front.example";

async fn with_header(client: &Client<'_>, path: &str, name: &str, value: &str) -> TestResponse {
    client
        .call(Method::GET, path, &[(name, value)], Value::Null)
        .await
}

/// Sends the CORS preflight request for adding to the cart from a page of `origin`.
async fn preflight(shop: &TestShop, origin: &str) -> TestResponse {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-type,idempotency-key",
        ),
    ];
    shop.anonymous()
        .call(Method::OPTIONS, "/cart", &headers, Value::Null)
        .await
}

fn has_cors_headers(answer: &TestResponse) -> bool {
    answer
        .headers
        .keys()
        .any(|name| name.as_str().starts_with("access-control-"))
}

storage_test! {
    async fn responses_have_a_request_id(shop: TestShop) {
        let anonymous = shop.anonymous();
        for path in ["/products", "/nowhere", "/healthz"] {
            for valid in ["a", "request-1.2_3", "0b1e", &"x".repeat(128)] {
                let answer = with_header(&anonymous, path, "x-request-id", valid).await;
                assert_eq!(answer.header("x-request-id"), Some(valid));
            }
            let mut made = Vec::new();
            for invalid in ["", "a b", "a/b", "<script>", "a\tb", "a\"b", &"x".repeat(129)] {
                let answer = with_header(&anonymous, path, "x-request-id", invalid).await;
                made.push(answer.header("x-request-id").unwrap().to_owned());
                let answer = anonymous.get(path).await;
                made.push(answer.header("x-request-id").unwrap().to_owned());
            }
            let count = made.len();
            made.sort();
            made.dedup();
            assert_eq!(made.len(), count, "generated ids are unique");
            assert!(made.iter().all(|id| id.len() == 36), "{made:?}");
        }
    }

    async fn responses_have_security_headers(shop: TestShop) {
        let (anonymous, admin) = (shop.anonymous(), shop.admin().await);
        let form = Form::default().text("name", "Pan").text("price", "5").image(&images::png());
        let made = admin.upload(Method::POST, "/products", &[], form).await;
        let url = made.text("/images/0/url").replace("http://shop.test", "");
        let images = [anonymous.get(&url).await, anonymous.get("/images/nothing").await];
        let answers = [
            made, anonymous.get("/products").await, anonymous.get("/nowhere").await,
            anonymous.delete("/products").await, anonymous.get("/me").await, admin.get("/me").await,
            anonymous.get("/healthz").await, anonymous.get("/openapi.json").await,
            anonymous.get("/docs").await, anonymous.get("/docs/docs.js").await, anonymous.get("/shop-live.js").await,
            anonymous.get("/problems/forbidden").await, anonymous.get("/problems/page.css").await,
            anonymous.post("/auth/login", json!({})).await,
        ];
        for (answer, policy) in answers.iter().map(|it| (it, "same-origin"))
            .chain(images.iter().map(|it| (it, "cross-origin")))
        {
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", policy),
            ] {
                assert_eq!(answer.header(name), Some(value), "{name}: {answer:?}");
            }
            let csp = answer.header("content-security-policy").unwrap();
            assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"));
            assert!(!csp.contains("unsafe"), "{csp}");
            assert!(answer.header("permissions-policy").is_some());
            for name in ["server", "x-powered-by", "set-cookie"] {
                assert_eq!(answer.header(name), None);
            }
        }
    }

    async fn personal_responses_are_not_cached(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 5).await;
        let (ada, anonymous) = (shop.customer("ada").await, shop.anonymous());
        for path in ["/me", "/cart", "/orders", "/products", "/nowhere", "/admin/orders"] {
            assert_eq!(ada.get(path).await.header("cache-control"), Some("no-store"), "{path}");
        }
        let added = ada.post("/cart", json!({ "productId": kettle })).await;
        assert_eq!(added.header("cache-control"), Some("no-store"));
        let forged = shop.bearer("forged").get("/me").await;
        assert_eq!((forged.status, forged.header("cache-control")), (401, Some("no-store")));
        assert_ne!(anonymous.get("/products").await.header("cache-control"), Some("no-store"));
    }

    async fn other_origins_get_no_cors_headers(shop: TestShop) {
        for origin in [STOREFRONT, "null", "http://shop.test", "*"] {
            let answer = with_header(&shop.anonymous(), "/products", "origin", origin).await;
            assert_eq!(answer.status, 200);
            assert!(!has_cors_headers(&answer), "{answer:?}");
            let answer = preflight(&shop, origin).await;
            assert_problem(&answer, 405, "method-not-allowed");
            assert!(!has_cors_headers(&answer), "{answer:?}");
        }
    }

    async fn configured_origins_get_cors_headers(shop: TestShop) {
        let shop = shop.with_settings(&[("cors_origins", STOREFRONT), ("rate_limit", "off")]).await;
        let anonymous = shop.anonymous();
        for path in ["/products", "/nowhere", "/me", "/products?nonsense=1"] {
            let answer = with_header(&anonymous, path, "origin", STOREFRONT).await;
            assert_eq!(answer.header("access-control-allow-origin"), Some(STOREFRONT), "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"));
            let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
            for name in [
                "etag", "location", "link", "retry-after", "ratelimit", "ratelimit-policy",
                "x-request-id", "idempotent-replayed", "x-inventory-seq",
            ] {
                assert!(exposed.split(',').any(|it| it.trim() == name), "{name} in {exposed}");
            }
        }
        let allowed = preflight(&shop, STOREFRONT).await;
        assert_eq!(allowed.status, 200);
        assert_eq!(allowed.header("access-control-allow-origin"), Some(STOREFRONT));
        let methods = allowed.header("access-control-allow-methods").unwrap();
        let headers = allowed.header("access-control-allow-headers").unwrap().to_lowercase();
        assert!(methods.contains("PATCH") && headers.contains("if-match"), "{methods} {headers}");

        for foreign in [
            "null", "https://evil.example", "http://front.example", "https://front.example:8443",
            "https://front.example.evil.example", "https://evilfront.example", "https://front.exampl",
            "https://front.example/", "https://front.example@evil.example", "*",
            "https://front.example, https://evil.example", "",
        ] {
            for path in ["/products", "/nowhere"] {
                let answer = with_header(&anonymous, path, "origin", foreign).await;
                assert_eq!(answer.header("access-control-allow-origin"), None, "{foreign}");
            }
            let answer = preflight(&shop, foreign).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{foreign}");
        }
    }

    async fn rate_limited_requests_get_retry_after(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        let anonymous = shop.anonymous().at("203.0.113.7");
        let first = anonymous.post("/auth/verify-email", Value::Null).await;
        assert_eq!(first.header("ratelimit-policy"), Some("\"accounts\";q=30;w=60"));
        assert_eq!(first.header("ratelimit").map(|it| &it[..15]), Some("\"accounts\";r=29"));
        assert_eq!(first.header("retry-after"), None);

        let (accepted, refused) = exhaust(&anonymous, |_| "198.51.100.1".to_owned()).await;
        assert!(accepted >= 29, "{accepted}");
        assert_problem(&refused, 429, "too-many-requests");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(refused.header("ratelimit-policy"), Some("\"accounts\";q=30;w=60"));
        let expected = format!("\"accounts\";r=0;t={wait}");
        assert_eq!(refused.header("ratelimit"), Some(expected.as_str()));

        // Other classes and other clients have their own limits; routes outside the API have none.
        let elsewhere = anonymous.get("/products").await;
        assert_eq!(elsewhere.status, 200);
        assert_eq!(elsewhere.header("ratelimit-policy"), Some("\"reads\";q=6000;w=60"));
        let write = anonymous.delete("/cart").await;
        assert_eq!(write.header("ratelimit-policy"), Some("\"writes\";q=600;w=60"));
        assert_eq!(anonymous.get("/healthz").await.header("ratelimit-policy"), None);
        let hook = anonymous.post("/payments/razorpay/webhook", json!({})).await;
        assert_eq!((hook.status, hook.header("ratelimit-policy")), (401, None));
        let other = shop.anonymous().at("203.0.113.8");
        assert_eq!(other.post("/auth/verify-email", Value::Null).await.status, 415);
    }

    async fn head_responses_have_the_headers_of_get(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 5).await;
        for (path, status) in [
            (format!("/products/{kettle}"), 200), ("/products".to_owned(), 200),
            ("/healthz".to_owned(), 200), (format!("/products/{NO_ID}"), 404),
        ] {
            let head = shop.anonymous().call(Method::HEAD, &path, &[], Value::Null).await;
            let get = shop.anonymous().get(&path).await;
            assert_eq!((head.status, get.status), (status, status));
            assert_eq!(head.header("content-type"), get.header("content-type"));
            assert_eq!(head.header("etag"), get.header("etag"));
        }
    }
}
