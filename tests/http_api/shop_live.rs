//! `/shop-live.js`, the client of the live inventory that storefronts import.

use http::Method;

use crate::support::storage_test;

storage_test! {
    async fn storefronts_import_the_client_of_the_live_inventory(shop: TestShop) {
        let storefront = "https://storefront.example";
        let shop = shop.with_settings(&[("cors_origins", storefront), ("rate_limit", "off")]).await;
        let client = shop.anonymous();
        let get = async |headers: &[(&str, &str)]| client.raw(Method::GET, "/shop-live.js", headers, "").await;
        let script = get(&[("origin", storefront)]).await;
        assert_eq!(script.status, 200);
        assert_eq!(script.body, &include_bytes!("../../assets/shop-live.js")[..]);
        assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(script.header("access-control-allow-origin"), Some(storefront));
        assert_eq!(get(&[("origin", "https://other.example")]).await.header("access-control-allow-origin"), None);

        let tag = script.header("etag").unwrap();
        assert_eq!(script.header("cache-control"), Some("no-cache"));
        let cached = get(&[("if-none-match", tag)]).await;
        assert_eq!((cached.status, cached.header("etag"), cached.body.len()), (304, Some(tag), 0));
        assert_eq!(get(&[("if-none-match", "\"another\"")]).await.status, 200);
    }
}
