//! The page at `/`, and the name of the shop in pages.

use http::Method;
use serde_json::json;

use crate::support::{Client, TestResponse, storage_test};

/// What browsers accept when somebody enters an address.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn home(client: &Client<'_>, accept: &str) -> TestResponse {
    client
        .raw(Method::GET, "/", &[("accept", accept)], "")
        .await
}

storage_test! {
    async fn a_browser_gets_a_page_that_leads_on(shop: TestShop) {
        let name = [("name", "Kettles & <More>"), ("rate_limit", "off")];
        let shop = shop.with_settings(&name).await;
        let client = shop.anonymous();
        let page = home(&client, BROWSER).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(page.header("vary").unwrap().to_lowercase().contains("accept"));
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        for expected in [
            "Kettles &amp; &lt;More&gt;", env!("CARGO_PKG_VERSION"), "href=\"docs\"", "href=\"openapi.json\"",
            "href=\"healthz\"", "href=\"readyz\"", "the link that the server printed", "shop admin user add",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!text.contains("{{") && !text.contains("<script") && !text.contains("http://"), "{text}");
        for path in ["/openapi.json", "/healthz", "/readyz"] {
            assert_eq!(client.get(path).await.status, 200, "{path}");
        }
        assert!(!text.contains("console"), "it is off: {text}");
        let verify = client.get("/verify-email").await;
        let verify = String::from_utf8(verify.body.to_vec()).unwrap();
        assert!(verify.contains("Kettles &amp; &lt;More&gt;") && !verify.contains("{{"), "{verify}");
    }

    async fn the_page_of_a_shop_with_an_admin_leads_to_the_console(shop: TestShop) {
        let shop = shop.restarted_with(&[("console", "on"), ("rate_limit", "off")]).await;
        shop.admin().await;
        let client = shop.anonymous();
        let page = home(&client, BROWSER).await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(text.contains("href=\"console\"") && !text.contains("Create an admin"), "{text}");
        assert_eq!(client.get("/").await.json()["console"], "/console");
        assert_eq!(client.get("/console").await.status, 200);
    }

    async fn a_program_gets_json(shop: TestShop) {
        let client = shop.anonymous();
        let expected = json!({
            "name": "shop.test",
            "version": env!("CARGO_PKG_VERSION"),
            "api": "/api/v1",
            "documentation": "/docs",
            "openapi": "/openapi.json",
            "health": "/healthz",
            "readiness": "/readyz",
        });
        assert_eq!(client.get("/").await.json(), expected);
        for accept in ["*/*", "application/json", "application/json, text/html;q=0.5", "nonsense", ""] {
            let answer = home(&client, accept).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{accept}");
            assert_eq!(answer.json(), expected, "{accept}");
        }
        let unknown = client.raw(Method::GET, "/?x=1", &[], "").await;
        assert_eq!(unknown.status, 400);
    }
}
