//! The API reference at `/docs` works offline and under a strict policy.

use std::io::Read;

use http::Method;

use crate::support::{Client, TestResponse, storage_test};

/// Returns the values of an attribute in a page.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let before = format!(" {attribute}=\"");
    page.split(before.as_str())
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

async fn get_encoded(client: &Client<'_>, path: &str, codings: &str) -> TestResponse {
    client
        .raw(Method::GET, path, &[("accept-encoding", codings)], "")
        .await
}

storage_test! {
    async fn the_reference_is_a_page_without_foreign_content(shop: TestShop) {
        let page = shop.anonymous().get("/docs").await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = page.header("content-security-policy").unwrap();
        for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"] {
            assert!(policy.split("; ").any(|it| it == rule), "{rule} in {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        let text = std::str::from_utf8(&page.body).unwrap();
        assert!(!text.contains("://") && !text.contains("=\"//"), "{text}");
        // The policy forbids these.
        assert!(!text.contains("<style") && !text.contains(" style=")
            && values(text, "onclick").is_empty(), "{text}");
        assert!(text.split("<script").skip(1).all(|it| it.contains(" src=\"")), "{text}");
    }

    async fn every_file_that_the_reference_names_is_served(shop: TestShop) {
        let anonymous = shop.anonymous();
        let page = anonymous.get("/docs").await;
        let text = std::str::from_utf8(&page.body).unwrap();
        let mut names = values(text, "href");
        names.extend(values(text, "src"));
        names.retain(|name| *name != "data:,");
        assert!(names.len() >= 5, "{names:?}");
        for name in names {
            // Relative, so that it works below the path of a public URL.
            assert!(!name.starts_with('/'), "{name}");
            let file = anonymous.get(&format!("/{name}")).await;
            assert_eq!(file.status, 200, "{name}");
            let expected = match name.rsplit_once('.').unwrap().1 {
                "css" => "text/css; charset=utf-8",
                "js" => "text/javascript; charset=utf-8",
                _ => "application/json",
            };
            assert_eq!(file.header("content-type"), Some(expected), "{name}");
        }
    }

    async fn the_viewer_is_sent_compressed_to_those_who_accept_it(shop: TestShop) {
        let anonymous = shop.anonymous();
        for path in ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"] {
            let plain = anonymous.get(path).await;
            assert_eq!((plain.status, plain.header("content-encoding")), (200, None));
            for accepted in ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, GZIP;q=0.8"] {
                let gzip = get_encoded(&anonymous, path, accepted).await;
                assert_eq!(gzip.header("content-encoding"), Some("gzip"), "{accepted}");
                assert_eq!(gzip.header("content-type"), plain.header("content-type"));
                assert_eq!(gzip.header("vary"), Some("accept-encoding"));
                let mut text = Vec::new();
                flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut text).unwrap();
                assert!(text == plain.body, "{path}");
            }
            for refused in ["identity", "br", "gzip;q=0", "gzip; q=0.0", ""] {
                let plain = get_encoded(&anonymous, path, refused).await;
                assert_eq!(plain.header("content-encoding"), None, "{refused}");
            }
        }
    }

    async fn the_reference_has_one_address(shop: TestShop) {
        let redirect = shop.anonymous().get("/docs/").await;
        assert_eq!((redirect.status, redirect.header("location")), (308, Some("/docs")));
        let unknown = shop.anonymous().get("/docs?page=1").await;
        unknown.assert_problem(400, "invalid-query");
    }
}
