//! Entity tags that proxies modified when they compressed the response.

use http::Method;
use serde_json::{Value, json};

use super::{get_with_etag, patch_if};
use crate::support::storage_test;

/// Returns the variants of a tag that identify the same version.
fn forms(tag: &str) -> Vec<String> {
    let bare = tag.trim_matches('"');
    let suffixes = [
        "-gzip", "--gzip", ";gzip", "/gzip", ":gzip", "-br", ";br", "/br", "-zstd", "-deflate",
    ];
    let appended = suffixes.map(|suffix| format!("\"{bare}{suffix}\""));
    let weak = |strong: &String| format!("W/{strong}");
    let mut forms = vec![tag.to_owned()];
    forms.extend(appended);
    let weakened: Vec<_> = forms.iter().map(weak).collect();
    forms.extend(weakened);
    forms
}

storage_test! {
    async fn an_etag_modified_by_a_proxy_identifies_the_same_version(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let (admin, path) = (shop.admin().await, format!("/products/{kettle}"));
        let (_, first) = get_with_etag(&shop, &kettle).await;
        let mut stock = 5;
        for n in 0..forms(&first).len() {
            let (_, tag) = get_with_etag(&shop, &kettle).await;
            let form = &forms(&tag)[n];
            let known = [("if-none-match", &**form)];
            let seen = shop.anonymous().call(Method::GET, &path, &known, Value::Null).await;
            assert_eq!(seen.status, 304, "{form}");
            stock += 1;
            let changed = patch_if(&admin, &kettle, form, json!({ "stockQuantity": stock })).await;
            assert_eq!(changed.status, 200, "{form}: {changed:?}");
            // The same variant of the previous version.
            patch_if(&admin, &kettle, form, json!({ "stockQuantity": 1 })).await
                .assert_problem(412, "precondition-failed");
        }
        let (_, tag) = get_with_etag(&shop, &kettle).await;
        let bare = tag.trim_matches('"');
        for other in [
            bare.to_owned(), format!("\"{bare}gzip\""), format!("\"{bare}-\""), format!("\"{bare}-gzipped\""),
            format!("\"{bare}-other\""), format!("\"x{bare}\""), format!("w/{tag}"), format!("\"{bare}"),
            "\"-gzip\"".to_owned(), "\"\"".to_owned(), "W/".to_owned(),
        ] {
            patch_if(&admin, &kettle, &other, json!({ "price": 1 })).await
                .assert_problem(412, "precondition-failed");
        }
    }
}
