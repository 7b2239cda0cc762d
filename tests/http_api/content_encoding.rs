//! Compressed request bodies are rejected, since decompression could exceed any limit.

use http::Method;

use super::{NO_ID, json_operations};
use crate::support::{Form, TestResponse, provider::WEBHOOK, storage_test};

fn is_rejected(answer: &TestResponse) {
    answer.assert_problem(415, "unsupported-media-type");
    assert_eq!(
        answer.header("accept-encoding"),
        Some("identity"),
        "RFC 9110, section 15.5.16"
    );
}

storage_test! {
    async fn compressed_bodies_are_rejected_on_every_route(shop: TestShop) {
        let admin = shop.admin().await;
        for operation in json_operations() {
            let path = operation.path_of(NO_ID);
            for coding in ["gzip", "x-gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "nonsense"] {
                let headers = [("content-type", "application/json"), ("content-encoding", coding)];
                is_rejected(&admin.raw(operation.method.clone(), &path, &headers, "{}").await);
            }
        }
        let form = Form::default().text("name", "Pan").text("price", "5").body();
        for (method, path) in [
            (Method::POST, "/products".to_owned()),
            (Method::PATCH, format!("/products/{NO_ID}")),
            (Method::POST, format!("/products/{NO_ID}/images")),
        ] {
            let headers = [("content-type", Form::CONTENT_TYPE), ("content-encoding", "gzip")];
            is_rejected(&admin.raw(method, &path, &headers, form.clone()).await);
        }
        let signature = shop.signature(b"{}");
        let headers = [("x-razorpay-signature", &*signature), ("content-encoding", "gzip")];
        is_rejected(&shop.anonymous().raw(Method::POST, WEBHOOK, &headers, "{}").await);

        let plain = [("content-type", "application/json"), ("content-encoding", "identity")];
        let made = admin.raw(Method::POST, "/categories", &plain, r#"{"name":"Kitchen"}"#).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
}
