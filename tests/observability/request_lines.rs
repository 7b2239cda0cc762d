//! The line in the log for each request.

use http::Method;
use serde_json::{Value, json};

use super::{Logged, events};
use crate::support::{Remote, storage_test};

const JSON: [(&str, &str); 2] = [("SHOP_LOG", "info"), ("SHOP_LOG_FORMAT", "json")];

storage_test! {
    async fn each_request_is_one_line(site: Site) {
        let kettle = site.product("Kettle", 100, 1);
        let server = Logged::start(&site, &JSON);
        let visitor = Remote::new(&server.process);
        let ada = visitor.registered("ada").await;
        let me = ada.get("/me").await;
        ada.get(&format!("/products/{kettle}")).await;
        visitor.get("/products?q=canary").await;
        visitor.get("/canary").await;
        let unknown = Method::from_bytes(b"CANARY").unwrap();
        visitor.call(unknown, "/products", &[], "").await.unwrap();
        for path in ["healthz", "readyz"] {
            reqwest::get(format!("{}/{path}", server.process.url)).await.unwrap();
        }
        let lines = server.stop();
        assert!(!lines.concat().contains("canary") && !lines.concat().contains("CANARY"));
        let requests: Vec<Value> = events(&lines, "shop::request").into_iter().map(|event| event["fields"].clone()).collect();
        let seen: Vec<_> = requests.iter()
            .map(|it| (it["method"].as_str().unwrap(), it["route"].as_str().unwrap(), it["status"].as_u64().unwrap()))
            .collect();
        assert_eq!(seen, [
            ("POST", "/api/v1/auth/register", 201), ("POST", "/api/v1/auth/login", 200), ("GET", "/api/v1/me", 200),
            ("GET", "/api/v1/products/{id}", 200), ("GET", "/api/v1/products", 200), ("GET", "-", 404),
            ("OTHER", "/api/v1/products", 405),
        ]);
        for request in &requests {
            assert_eq!(request["client"], "127.0.0.1");
            assert!(request["duration_ms"].as_f64().unwrap() > 0.0, "{request}");
        }
        assert_eq!(requests[2]["request_id"], me.header("x-request-id").unwrap());
        assert_eq!(requests[1]["user"], me.text("/id"), "who has just signed in");
        assert_eq!(requests[2]["user"], me.text("/id"));
        assert_eq!((&requests[4]["user"], &requests[5]["user"]), (&Value::Null, &Value::Null));
    }

    async fn lines_of_requests_can_be_turned_off(site: Site) {
        let quiet = [("SHOP_LOG", "info,shop::request=warn"), ("SHOP_LOG_FORMAT", "json")];
        let server = Logged::start(&site, &quiet);
        Remote::new(&server.process).get("/products").await;
        let lines = server.stop();
        assert_eq!(events(&lines, "shop::request"), [] as [Value; 0]);
        assert!(lines.concat().contains("shop started"));
    }

    async fn a_request_that_is_limited_is_logged_with_its_route(site: Site) {
        let limits = [("SHOP_RATE_LIMIT", "on"), JSON[0], JSON[1]];
        let server = Logged::start(&site, &limits);
        let visitor = Remote::new(&server.process);
        let wrong = json!({ "email": "ada@example.com", "password": "wrong horse" });
        for _ in 0..31 {
            visitor.post("/auth/login", &wrong).await;
        }
        let requests = events(&server.stop(), "shop::request");
        let last = &requests.last().unwrap()["fields"];
        assert_eq!((&last["route"], &last["status"]), (&json!("/api/v1/auth/login"), &json!(429)));
    }
}
