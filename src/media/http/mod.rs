//! Pictures on their way out, and uploads on their way in.

mod upload;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Deserialize;

pub use self::upload::Upload;
use super::picture;
use crate::{
    error::{Error, Kind, Result},
    ports::images::{WIDTHS, narrow, whole},
    web::{
        App, State,
        extract::{Path, Query},
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
    let file = narrowed(&app, &key, stem, width).await?;
    let content_type = match image::guess_format(&file) {
        Ok(image::ImageFormat::Png) => "image/png",
        _ => "image/jpeg",
    };
    let size = file.len() as u64;
    Ok(picture_response(file.into(), size, content_type))
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

/// A picture at a smaller width: made for the first who asks, and kept beside it for the others.
async fn narrowed(app: &App, key: &str, stem: &str, width: u32) -> Result<Bytes> {
    let name = narrow(stem, width);
    if let Some(kept) = kept(app, &name).await? {
        return Ok(kept);
    }
    let _turn = app.narrowing.take(&name).await;
    // Whoever had the turn before has made it.
    if let Some(kept) = kept(app, &name).await? {
        return Ok(kept);
    }
    let made = {
        let _place = app.sending.enter().await?;
        let original = whole(app.images.get(key).await?).await?;
        let made = app.imaging.run(move || picture::narrowed(&original, width));
        made.await?
    };
    // Whoever asks next has it made again.
    if let Err(error) = app.images.put(&name, made.clone()).await {
        tracing::warn!(
            name,
            ?error,
            "a picture could not be kept at a smaller width"
        );
    }
    Ok(made)
}

async fn kept(app: &App, name: &str) -> Result<Option<Bytes>> {
    match app.images.get(name).await {
        Ok(found) => whole(found).await.map(Some),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
