//! Forms with files. A file goes to the disk as it comes, without a name there, and the memory that a
//! form takes is bounded, whatever it holds.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, BodyDataStream},
    extract::{
        FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
};
use bytes::Bytes;
use futures_util::Stream;
use tokio::io::AsyncWriteExt;

use crate::{
    error::{Error, Kind, Result},
    media::{IMAGE_LIMIT, MOST_IMAGES, picture::unreadable, worker::Draft},
    web::{
        App,
        body::{BodyMeter, check_coding},
    },
};

/// The parts of an upload: texts by name, and files of the field `images`.
#[derive(Default)]
pub struct Upload {
    pub texts: Vec<(String, String)>,
    pub images: Vec<Draft>,
}

/// How long one text of a form may be, in bytes.
const TEXT_LIMIT: usize = 64 * 1024;

/// How large a whole upload may be: its pictures, its texts and what holds them together.
const UPLOAD_LIMIT: usize = MOST_IMAGES * IMAGE_LIMIT + 1024 * 1024;

/// How many parts an upload may have.
const MOST_PARTS: usize = 32;

/// How much the parser is given at a time, and how much without anything coming out of it: a part's
/// head, or a boundary that never comes, is kept in memory.
const PIECE: usize = 16 * 1024;
const MOST_KEPT: usize = 8 * PIECE;

impl Upload {
    /// Reads `multipart/form-data` (RFC 7578), each part under its own limit.
    pub async fn read(app: &App, request: Request) -> Result<Upload> {
        let kept = Arc::<AtomicUsize>::default();
        let (parts, body) = request.into_parts();
        check_coding(&parts.headers)?;
        let meter = parts.extensions.get::<BodyMeter>().cloned();
        let meter = meter.ok_or_else(|| Error::internal("the request has no body meter"))?;
        let body = Body::new(http_body_util::Limited::new(body, UPLOAD_LIMIT));
        let body = Body::from_stream(Pieces {
            body: body.into_data_stream(),
            rest: Bytes::new(),
            has_given: false,
            kept: Arc::clone(&kept),
        });
        let broken = |error: MultipartError| broken(error, &kept);
        let mut form = Multipart::from_request(Request::from_parts(parts, body), &())
            .await
            .map_err(|e| Error::new(Kind::UnsupportedMediaType, e.body_text()))?;
        let mut upload = Upload::default();
        let mut count = 0;
        while let Some(mut part) = form.next_field().await.map_err(broken)? {
            kept.store(0, Ordering::Relaxed);
            count += 1;
            if count > MOST_PARTS {
                return Err(Error::new(Kind::TooLarge, "the form has too many parts"));
            }
            let name = part.name().unwrap_or_default().to_owned();
            let mut limit = if name == "images" {
                IMAGE_LIMIT
            } else {
                TEXT_LIMIT
            };
            let mut place = upload.place(app, &name)?;
            while let Some(chunk) = next(&mut part, &kept).await.map_err(broken)? {
                limit = limit.checked_sub(chunk.len()).ok_or_else(|| {
                    let detail = format!("`{name}` is larger than {} bytes", limit_of(&name));
                    Error::new(Kind::TooLarge, detail)
                })?;
                place.add(&chunk, &meter).await?;
            }
            upload.take(name, place).await?;
        }
        Ok(upload)
    }

    /// Where a part goes that is about to come.
    fn place(&self, app: &App, name: &str) -> Result<Place> {
        if name != "images" {
            return Ok(Place::Text(Vec::new()));
        }
        if self.images.len() == MOST_IMAGES {
            let detail = format!("`images`: at most {MOST_IMAGES} images");
            return Err(Error::new(Kind::Invalid("invalid-image"), detail));
        }
        // Without a name, so that a process that is killed leaves nothing.
        let file = tempfile::tempfile_in(&app.config.data_dir).map_err(|e| unreadable(&e))?;
        Ok(Place::File(file.into()))
    }

    async fn take(&mut self, name: String, place: Place) -> Result<()> {
        let bytes = match place {
            Place::Text(bytes) => bytes,
            Place::File(mut file) => {
                file.flush().await.map_err(|e| unreadable(&e))?;
                self.images.push(Draft {
                    field: format!("images[{}]", self.images.len()),
                    file: file.into_std().await,
                });
                return Ok(());
            }
        };
        if self.texts.iter().any(|(taken, _)| *taken == name) {
            return Err(Error::field(name, "duplicate", "stands twice"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::field(name.clone(), "invalid", "must be UTF-8 text"))?;
        self.texts.push((name, text));
        Ok(())
    }
}

/// Where a part goes.
enum Place {
    Text(Vec<u8>),
    File(tokio::fs::File),
}

impl Place {
    async fn add(&mut self, chunk: &[u8], meter: &BodyMeter) -> Result<()> {
        match self {
            Place::Text(text) => {
                meter.add(chunk.len())?;
                text.extend_from_slice(chunk);
            }
            Place::File(file) => file.write_all(chunk).await.map_err(|e| unreadable(&e))?,
        }
        Ok(())
    }
}

async fn next(part: &mut Field<'_>, kept: &AtomicUsize) -> Result<Option<Bytes>, MultipartError> {
    let chunk = part.chunk().await;
    kept.store(0, Ordering::Relaxed);
    chunk
}

fn limit_of(name: &str) -> usize {
    if name == "images" {
        IMAGE_LIMIT
    } else {
        TEXT_LIMIT
    }
}

/// A body in small pieces, one at each turn: the parser would else take in all that there is before it
/// looks at any of it. It ends with an error where too much stays in the parser.
struct Pieces {
    body: BodyDataStream,
    rest: Bytes,
    has_given: bool,
    /// How much was given since the parser last gave something out.
    kept: Arc<AtomicUsize>,
}

impl Stream for Pieces {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.has_given) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                ended => return Poll::Ready(ended),
            }
        }
        let size = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(size);
        if self.kept.fetch_add(size, Ordering::Relaxed) > MOST_KEPT {
            return Poll::Ready(Some(Err(axum::Error::new(Endless))));
        }
        self.has_given = true;
        Poll::Ready(Some(Ok(piece)))
    }
}

#[derive(Debug)]
struct Endless;

impl std::fmt::Display for Endless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a part has no end")
    }
}

impl std::error::Error for Endless {}

fn broken(error: MultipartError, kept: &AtomicUsize) -> Error {
    if kept.load(Ordering::Relaxed) > MOST_KEPT {
        let detail = "the form has a part whose head or whose end does not come";
        return Error::new(Kind::TooLarge, detail).caused_by(error);
    }
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
