//! Pictures on their way out, and uploads on their way in.

mod part;
mod upload;

use axum::{body::Body, response::Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderValue, header};
use serde::Deserialize;
use std::future::ready;

pub use self::upload::Upload;
use super::{STORED_LIMIT, picture, worker::weight};
use crate::{
    app::{App, State},
    core::error::{Error, Kind, Result},
    infra::{
        ports::images::{Found, WIDTHS, narrow, whole},
        web::extract::{Path, Query},
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageQuery {
    w: Option<String>,
}

/// A picture; its URL always means the same bytes.
pub(crate) async fn get_image(
    axum::extract::State(app): State,
    Path(key): Path<String>,
    Query(ImageQuery { w }): Query<ImageQuery>,
) -> Result<Response> {
    let (stem, content_type) = parse(&key).ok_or_else(|| Error::not_found("image"))?;
    let Some(width) = w else {
        let found = app.images.get(&key).await?;
        let size = found.size;
        return Ok(picture_response(
            Body::from_stream(found.body),
            size,
            content_type,
        ));
    };
    let width = WIDTHS.into_iter().find(|known| known.to_string() == width);
    let width =
        width.ok_or_else(|| Error::new(Kind::InvalidQuery, "`w` must be 320, 640 or 1280"))?;
    resized(&app, &key, stem, width).await
}

/// Sends what the store has as it is read; its first bytes tell what it is.
async fn stored_response(mut found: Found) -> Result<Response> {
    let first = found.body.try_next().await?.unwrap_or_default();
    let content_type = content_type(&first);
    let body = stream::once(ready(Ok(first))).chain(found.body);
    Ok(picture_response(
        Body::from_stream(body),
        found.size,
        content_type,
    ))
}

fn content_type(file: &[u8]) -> &'static str {
    image::guess_format(file).map_or("application/octet-stream", |format| format.to_mime_type())
}

fn picture_response(body: Body, size: u64, content_type: &'static str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    response
}

/// The stem and the type of a picture that was named here: nothing else reaches the store.
fn parse(key: &str) -> Option<(&str, &'static str)> {
    let (stem, ending) = key.split_once('.')?;
    let is_id = stem.len() == 36 && stem.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let content_type = match ending {
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        _ => return None,
    };
    is_id.then_some((stem, content_type))
}

/// A picture at a smaller width: made at the first request, and stored beside the original.
async fn resized(app: &App, key: &str, stem: &str, width: u32) -> Result<Response> {
    let name = narrow(stem, width);
    if let Some(stored) = stored(app, &name).await? {
        return stored_response(stored).await;
    }
    let _turn = app.resize_locks.take(&name).await;
    // The request that had the turn before has made it.
    if let Some(stored) = stored(app, &name).await? {
        return stored_response(stored).await;
    }
    let original = app.images.get(key).await?;
    if original.size > STORED_LIMIT.into() {
        // It is older than that limit.
        return stored_response(original).await;
    }
    let _sending = app.upload_permits.enter(weight(original.size)).await?;
    let original = whole(original).await?;
    let resize = move || picture::resized(&original, width);
    let made = app.image_pool.run(resize).await?;
    // If that fails, the next request makes it again.
    if let Err(error) = app.images.put(&name, made.clone()).await {
        tracing::warn!(name, ?error, "could not store a resized image");
    }
    let (size, content_type) = (made.len() as u64, content_type(&made));
    Ok(picture_response(made.into(), size, content_type))
}

async fn stored(app: &App, name: &str) -> Result<Option<Found>> {
    match app.images.get(name).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
