//! A panic of a handler is an internal error, whose details only the log contains.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use shop::{
    core::error::Result,
    infra::ports::{ImageStore, StoreLocation, images::Found},
};

use super::{NO_ID, assert_problem};
use crate::support::{Engine, TestShop};

/// The message of the panic.
const MESSAGE: &str = "/var/lib/shop: SELECT 1";

/// An image store that panics.
struct PanickingStore;

fn panic<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
    async { panic!("{MESSAGE}") }.boxed()
}

impl ImageStore for PanickingStore {
    fn put<'a>(&'a self, _: &'a str, _: Bytes) -> BoxFuture<'a, Result<Option<String>>> {
        panic()
    }

    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Found>> {
        panic()
    }

    fn remove<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        panic()
    }

    fn stems(&self) -> BoxStream<'_, Result<String>> {
        stream::empty().boxed()
    }

    fn location(&self) -> StoreLocation {
        StoreLocation::Remote("panicking".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_a_handler_is_an_internal_error_without_details() {
    let shop = TestShop::with_image_store(Engine::Sqlite, Arc::new(PanickingStore)).await;
    let anonymous = shop.anonymous();
    for _ in 0..2 {
        let failed = anonymous.get(&format!("/images/{NO_ID}.jpg")).await;
        assert_problem(&failed, 500, "internal");
        assert_eq!(
            failed.header("content-type"),
            Some("application/problem+json")
        );
        let body = String::from_utf8_lossy(&failed.body);
        for secret in [MESSAGE, "panic", ".rs"] {
            assert!(!body.contains(secret), "{body}");
        }
        assert_eq!(anonymous.get("/products").await.status, 200);
    }
}
