//! Pictures on their way out and uploads on their way in.

use axum::{
    extract::{FromRequest, Multipart, Request},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, header};

use super::{IMAGE_LIMIT, MOST_IMAGES};
use crate::{
    error::{Error, Kind, Result},
    web::{
        State,
        extract::{NoQuery, Path},
    },
};

/// A picture; its URL always means the same bytes.
pub(crate) async fn get_image(
    axum::extract::State(app): State,
    Path(key): Path<String>,
    _: NoQuery,
) -> Result<Response> {
    let content_type = match key.rsplit_once('.') {
        Some((name, extension)) if is_key(name) => match extension {
            "jpg" => "image/jpeg",
            "png" => "image/png",
            "webp" => "image/webp",
            "gif" => "image/gif",
            _ => return Err(Error::not_found("image")),
        },
        _ => return Err(Error::not_found("image")),
    };
    let bytes = app.images.get(&key).await?;
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    Ok(response)
}

/// Keys are ids that were made here: nothing else reaches the store.
fn is_key(name: &str) -> bool {
    name.len() == 36 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// The parts of an upload: texts by name, and files of the field `images`.
#[derive(Default)]
pub struct Upload {
    pub texts: Vec<(String, String)>,
    pub images: Vec<Bytes>,
}

/// How long one text of a form may be, in bytes.
const TEXT_LIMIT: usize = 64 * 1024;

/// How large a whole upload may be: its pictures, its texts and what holds them together.
const UPLOAD_LIMIT: usize = MOST_IMAGES * IMAGE_LIMIT + 1024 * 1024;

/// How many parts an upload may have.
const MOST_PARTS: usize = 32;

impl Upload {
    /// Reads `multipart/form-data` (RFC 7578), each part under its own limit.
    pub async fn read(request: Request) -> Result<Upload> {
        let (parts, body) = request.into_parts();
        let body = axum::body::Body::new(http_body_util::Limited::new(body, UPLOAD_LIMIT));
        let mut form = Multipart::from_request(Request::from_parts(parts, body), &())
            .await
            .map_err(|e| Error::new(Kind::UnsupportedMediaType, e.body_text()))?;
        let mut upload = Upload::default();
        let mut count = 0;
        while let Some(mut part) = form.next_field().await.map_err(broken)? {
            count += 1;
            if count > MOST_PARTS {
                return Err(Error::new(Kind::TooLarge, "the form has too many parts"));
            }
            let name = part.name().unwrap_or_default().to_owned();
            let limit = if name == "images" {
                IMAGE_LIMIT
            } else {
                TEXT_LIMIT
            };
            let mut bytes = Vec::new();
            while let Some(chunk) = part.chunk().await.map_err(broken)? {
                if bytes.len() + chunk.len() > limit {
                    let detail = format!("`{name}` is larger than {limit} bytes");
                    return Err(Error::new(Kind::TooLarge, detail));
                }
                bytes.extend_from_slice(&chunk);
            }
            upload.take(name, bytes)?;
        }
        Ok(upload)
    }

    fn take(&mut self, name: String, bytes: Vec<u8>) -> Result<()> {
        if name == "images" {
            if self.images.len() == MOST_IMAGES {
                let detail = format!("`images`: at most {MOST_IMAGES} images");
                return Err(Error::new(Kind::Invalid("invalid-image"), detail));
            }
            self.images.push(bytes.into());
            return Ok(());
        }
        if self.texts.iter().any(|(taken, _)| *taken == name) {
            return Err(Error::field(name, "duplicate", "stands twice"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::field(name.clone(), "invalid", "must be UTF-8 text"))?;
        self.texts.push((name, text));
        Ok(())
    }
}

fn broken(error: axum::extract::multipart::MultipartError) -> Error {
    if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        Error::new(
            Kind::TooLarge,
            format!("the form is larger than {UPLOAD_LIMIT} bytes"),
        )
    } else {
        let detail = "the form is broken; send well-formed `multipart/form-data`";
        Error::field("body", "malformed-form", detail).caused_by(error)
    }
}
