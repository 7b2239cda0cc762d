//! The image store of commands that handle no images and need none of their settings.

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream::{BoxStream, once},
};

use super::{Found, ImageStore, StoreLocation};
use crate::core::error::{Error, Result};

/// Fails every call: a command that uses images must open a store.
#[derive(Debug, Clone, Copy)]
pub struct NoImages;

fn no_store() -> Error {
    Error::internal("no image store was opened for this command")
}

impl ImageStore for NoImages {
    fn put<'a>(&'a self, _: &'a str, _: Bytes) -> BoxFuture<'a, Result<Option<String>>> {
        ready(Err(no_store())).boxed()
    }

    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Found>> {
        ready(Err(no_store())).boxed()
    }

    fn remove<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        ready(Err(no_store())).boxed()
    }

    fn stems(&self) -> BoxStream<'_, Result<String>> {
        once(ready(Err(no_store()))).boxed()
    }

    fn location(&self) -> StoreLocation {
        StoreLocation::NoStore
    }
}
