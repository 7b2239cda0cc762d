//! `GET /images/{key}`, and the form that uploads images.

mod multipart;
mod part_headers;

use axum::{body::Body, response::Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderValue, header};
use serde::Deserialize;
use std::{future::ready, sync::Arc};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type, schema::Schema},
};
use utoipa_axum::routes;

pub use self::multipart::MultipartForm;
use super::{
    image::{content_type, resize},
    limits::{MAX_STORED_SIZE, permits},
};
use crate::{
    app::{App, Routes, State},
    core::error::{Error, Kind, Result, chain},
    infra::{
        ports::images::{Found, THUMBNAIL_WIDTHS, read_all, thumbnail_key},
        web::extract::{Path, Query},
    },
};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(get_image))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImageQuery {
    /// The width of a thumbnail, in pixels.
    #[param(value_type = Option<ThumbnailWidth>, inline)]
    w: Option<String>,
}

/// A width that thumbnails have.
struct ThumbnailWidth;

impl PartialSchema for ThumbnailWidth {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .enum_values(Some(THUMBNAIL_WIDTHS))
            .into()
    }
}

impl ToSchema for ThumbnailWidth {}

/// The content of an image file.
struct ImageFile;

impl PartialSchema for ImageFile {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .into()
    }
}

impl ToSchema for ImageFile {}

/// Get an image or a thumbnail
///
/// With `w`, the image is scaled down to that width; while the server is busy, the whole image is returned instead, with
/// `Cache-Control: no-store`. The content of a URL never changes. Images at an image host have URLs of that host.
#[utoipa::path(get, path = "/images/{key}", tag = "images",
    params(
        ("key" = String, Path, description = "The last part of an image's `url`",
            pattern = r"^[0-9a-f-]{36}\.(jpg|png|webp|gif)$"),
        ImageQuery,
    ),
    responses(
        (status = 200, description = "The file", headers(("Cache-Control")), content(
            (ImageFile = "image/jpeg"), (ImageFile = "image/png"), (ImageFile = "image/webp"), (ImageFile = "image/gif"),
        )),
        (status = 429, description = "`too-many-requests`"),
    ))]
pub(crate) async fn get_image(
    axum::extract::State(app): State,
    Path(key): Path<String>,
    Query(ImageQuery { w }): Query<ImageQuery>,
) -> Result<Response> {
    let (stem, content_type) = parse(&key).ok_or_else(|| Error::not_found("image"))?;
    let Some(width) = w else {
        let file = app.images.get(&key).await?;
        let size = file.size;
        let body = Body::from_stream(file.body);
        return Ok(image_response(body, size, content_type));
    };
    let width = THUMBNAIL_WIDTHS
        .into_iter()
        .find(|known| known.to_string() == width);
    let width =
        width.ok_or_else(|| Error::new(Kind::InvalidQuery, "`w` must be 320, 640 or 1280"))?;
    match get_thumbnail(&app, &key, stem, width).await {
        // Too many thumbnails are being created: the first visitor of a page may need dozens.
        Err(error) if error.kind() == Kind::Unavailable => {
            let mut response = stream_response(app.images.get(&key).await?).await?;
            let uncached = HeaderValue::from_static("no-store");
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, uncached);
            Ok(response)
        }
        result => result,
    }
}

/// Streams a file from the image store. The key of a thumbnail has no extension, so the content type comes
/// from the first bytes.
async fn stream_response(mut file: Found) -> Result<Response> {
    let first = file.body.try_next().await?.unwrap_or_default();
    let content_type = content_type(&first);
    let body = stream::once(ready(Ok(first))).chain(file.body);
    Ok(image_response(
        Body::from_stream(body),
        file.size,
        content_type,
    ))
}

fn image_response(body: Body, size: u64, content_type: &'static str) -> Response {
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

/// Returns the stem and the content type of a valid key. No other key reaches the image store.
fn parse(key: &str) -> Option<(&str, &'static str)> {
    let (stem, extension) = key.split_once('.')?;
    let is_id = stem.len() == 36 && stem.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let content_type = match extension {
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        _ => return None,
    };
    is_id.then_some((stem, content_type))
}

/// Serves the thumbnail of an image with this width. The first request creates and stores it.
async fn get_thumbnail(app: &App, key: &str, stem: &str, width: u32) -> Result<Response> {
    let thumbnail_key = thumbnail_key(stem, width);
    if let Some(thumbnail) = find(app, &thumbnail_key).await? {
        return stream_response(thumbnail).await;
    }
    let lock = app
        .resize_locks
        .get_with_by_ref(&thumbnail_key, Arc::default);
    let _guard = lock.lock().await;
    // Another request may have created it before this one got the lock.
    if let Some(thumbnail) = find(app, &thumbnail_key).await? {
        return stream_response(thumbnail).await;
    }
    let original = app.images.get(key).await?;
    if original.size > MAX_STORED_SIZE.into() {
        // It was stored before this limit existed.
        return stream_response(original).await;
    }
    let _permits = app.upload_permits.enter(permits(original.size)).await?;
    let original = read_all(original).await?;
    let thumbnail = app.image_pool.run(move || resize(&original, width)).await?;
    // If this fails, the next request creates the thumbnail again.
    if let Err(error) = app.images.put(&thumbnail_key, thumbnail.clone()).await {
        tracing::warn!(key = thumbnail_key, error = %chain(&error), "could not store a thumbnail");
    }
    let (size, content_type) = (thumbnail.len() as u64, content_type(&thumbnail));
    Ok(image_response(thumbnail.into(), size, content_type))
}

async fn find(app: &App, key: &str) -> Result<Option<Found>> {
    match app.images.get(key).await {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
