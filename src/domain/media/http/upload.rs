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

use super::part::{FileName, PartHead, is_utf8};
use crate::{
    app::App,
    core::error::{Error, Kind, Result},
    domain::media::{IMAGE_LIMIT, MOST_IMAGES, picture::unreadable, worker::Draft},
    infra::web::{
        body::{BodyMeter, check_coding},
        extract::unknown_field,
    },
};

/// The parts of an upload that have content: texts by name, and files of the field `images`.
#[derive(Default)]
pub struct Upload {
    pub texts: Vec<(String, String)>,
    pub images: Vec<Draft>,
}

/// The field of the files.
const IMAGES: &str = "images";

/// The field that names the encoding of a form's texts.
const CHARSET: &str = "_charset_";

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
    /// Reads `multipart/form-data` (RFC 7578), each part under its own limit. `fields` are the texts that
    /// the form may have. What is wrong with a part by its head is refused before its content is read. A
    /// part without content is a field that nobody filled in: it is left out.
    pub async fn read(app: &App, request: Request, fields: &[&str]) -> Result<Upload> {
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
        let mut names = Vec::new();
        while let Some(mut part) = form.next_field().await.map_err(broken)? {
            kept.store(0, Ordering::Relaxed);
            if names.len() == MOST_PARTS {
                return Err(Error::new(Kind::TooLarge, "the form has too many parts"));
            }
            let head = PartHead::of(part.headers())?;
            upload.check(&head, fields, &names)?;
            let mut place = None;
            let mut size = 0;
            while let Some(chunk) = next(&mut part, &kept).await.map_err(broken)? {
                if chunk.is_empty() {
                    continue;
                }
                size += chunk.len();
                let place = match &mut place {
                    Some(place) => place,
                    none => none.insert(upload.place(app, &head)?),
                };
                place.check_size(size, &upload.called(&head))?;
                place.add(&chunk, &meter).await?;
            }
            if head.is_chosen_image() && place.is_none() {
                // A file all the same, and no picture.
                place = Some(upload.place(app, &head)?);
            }
            if let Some(place) = place {
                upload.take(&head, place).await?;
            }
            names.push(head.name);
        }
        Ok(upload)
    }

    /// What an error calls a part.
    fn called(&self, head: &PartHead) -> String {
        if head.name == IMAGES {
            format!("{IMAGES}[{}]", self.images.len())
        } else {
            head.name.clone()
        }
    }

    /// Refuses a part that is wrong whatever it holds.
    fn check(&self, head: &PartHead, fields: &[&str], names: &[String]) -> Result<()> {
        let name = head.name.as_str();
        if name == IMAGES {
            return match head.file {
                FileName::Given => self.check_room(),
                FileName::Empty | FileName::Absent => Ok(()),
            };
        }
        if name != CHARSET && !fields.contains(&name) {
            let known: Vec<_> = fields
                .iter()
                .chain(&[IMAGES])
                .map(|it| format!("`{it}`"))
                .collect();
            return Err(unknown_field(
                name,
                &format!("expected one of {}", known.join(", ")),
            ));
        }
        if names.iter().any(|taken| taken == name) {
            return Err(Error::field(name, "duplicate", "was sent more than once"));
        }
        match head.file {
            FileName::Given => Err(no_text(name)),
            FileName::Empty | FileName::Absent => Ok(()),
        }
    }

    fn check_room(&self) -> Result<()> {
        if self.images.len() == MOST_IMAGES {
            let detail = format!("`{IMAGES}`: at most {MOST_IMAGES} images");
            return Err(Error::new(Kind::Invalid("invalid-image"), detail));
        }
        Ok(())
    }

    /// Where a part goes that has content.
    fn place(&self, app: &App, head: &PartHead) -> Result<Place> {
        match (head.name == IMAGES, head.file) {
            (true, FileName::Absent) => {
                let why = "must be a file: send the part with a `filename`";
                Err(Error::field(IMAGES, "invalid", why))
            }
            (true, FileName::Empty | FileName::Given) => {
                self.check_room()?;
                // Without a name, so that a process that is killed leaves nothing.
                let file = tempfile::tempfile_in(&app.config.data_dir);
                Ok(Place::File(file.map_err(|e| unreadable(&e))?.into()))
            }
            (false, FileName::Absent) => Ok(Place::Text(Vec::new())),
            (false, FileName::Empty | FileName::Given) => Err(no_text(&head.name)),
        }
    }

    async fn take(&mut self, head: &PartHead, place: Place) -> Result<()> {
        let bytes = match place {
            Place::Text(bytes) => bytes,
            Place::File(mut file) => {
                file.flush().await.map_err(|e| unreadable(&e))?;
                self.images.push(Draft {
                    field: self.called(head),
                    file: file.into_std().await,
                });
                return Ok(());
            }
        };
        let name = &head.name;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::field(name, "invalid", "must be UTF-8 text"))?;
        if name == CHARSET {
            // The encoding of the whole form (RFC 7578, section 4.6).
            return if is_utf8(&text) {
                Ok(())
            } else {
                let detail = format!("`{CHARSET}`: send the form in UTF-8");
                Err(Error::new(Kind::UnsupportedMediaType, detail))
            };
        }
        // Browsers send every line break as CRLF (HTML, multipart/form-data encoding algorithm).
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.texts.push((name.clone(), text));
        Ok(())
    }
}

impl PartHead {
    /// Whether the user chose a file of `images`, even an empty one.
    fn is_chosen_image(&self) -> bool {
        self.name == IMAGES && self.file == FileName::Given
    }
}

fn no_text(name: &str) -> Error {
    Error::field(name, "invalid", "must be text, not a file")
}

/// Where a part goes.
enum Place {
    Text(Vec<u8>),
    File(tokio::fs::File),
}

impl Place {
    fn check_size(&self, size: usize, name: &str) -> Result<()> {
        let limit = match self {
            Place::Text(_) => TEXT_LIMIT,
            Place::File(_) => IMAGE_LIMIT,
        };
        if size > limit {
            let detail = format!("`{name}` is larger than {limit} bytes");
            return Err(Error::new(Kind::TooLarge, detail));
        }
        Ok(())
    }

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
