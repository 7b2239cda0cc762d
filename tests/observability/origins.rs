//! Warnings about pages of other origins, which the operator may have forgotten to allow.

use super::{Logged, events};
use crate::support::storage_test;

/// Sends a request of a page of `origin`, and returns its status.
async fn request(server: &Logged, path: &str, origin: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("{}{path}", server.process.url));
    let sent = request.header("origin", origin).send().await;
    sent.unwrap().status().as_u16()
}

storage_test! {
    async fn each_refused_origin_is_logged_once(site: Site) {
        let variables = [("SHOP_CORS_ORIGINS", "https://allowed.example"), ("SHOP_LOG_FORMAT", "json")];
        let server = Logged::start(&site, &[&variables[..], &[("SHOP_LOG", "info")]].concat());
        let own = server.process.url.clone();
        for _ in 0..2 {
            assert_eq!(request(&server, "/api/v1/ws", "http://socket.example").await, 403);
            for origin in ["http://page.example", "https://allowed.example", &own, "null"] {
                assert_eq!(request(&server, "/api/v1/products", origin).await, 200);
            }
        }
        for number in 0..200 {
            request(&server, "/healthz", &format!("http://{number}.example")).await;
        }
        let lines = server.stop();
        let warnings = events(&lines, "shop::infra::web::refused_origins");
        assert_eq!(warnings.len(), 100, "clients can invent origins");
        assert_eq!(warnings[0]["fields"]["origin"], "http://socket.example");
        assert_eq!(warnings[1]["fields"]["origin"], "http://page.example");
        assert_eq!(warnings[2]["fields"]["origin"], "http://0.example");
        assert!(warnings[0]["fields"]["message"].as_str().unwrap().contains("`SHOP_CORS_ORIGINS`"));
    }
}
