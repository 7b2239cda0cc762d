//! Reads `multipart/form-data` (RFC 7578) with files. Files are spooled to the disk, and memory use is bounded
//! for any input.

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

use super::part_headers::{FileName, PartHeaders, is_utf8};
use crate::{
    app::App,
    core::error::{Error, Field as FieldError, Kind, Result},
    domain::media::{
        image::spool_error,
        limits::{MAX_IMAGES_PER_PRODUCT, MAX_UPLOAD_SIZE},
        problems::INVALID_IMAGE,
        uploaded_image::ImageUpload,
    },
    infra::web::{
        body::{BodyMeter, check_coding},
        extract::unknown_field,
        field_errors,
    },
};

/// A parsed form. Parts without content are omitted.
#[derive(Default)]
pub struct MultipartForm {
    /// The names and values of the text fields.
    pub texts: Vec<(String, String)>,
    /// The files of the field `images`.
    pub images: Vec<ImageUpload>,
    /// The errors of the parts that are missing above.
    errors: Vec<FieldError>,
}

/// The name of the file field.
const IMAGES: &str = "images";

/// The field that names the charset of the text fields (RFC 7578, section 4.6).
const CHARSET: &str = "_charset_";

/// The maximum size of a text field, in bytes.
const MAX_TEXT_SIZE: usize = 64 * 1024;

/// The maximum size of the whole form, in bytes.
const MAX_FORM_SIZE: usize = MAX_IMAGES_PER_PRODUCT * MAX_UPLOAD_SIZE + 1024 * 1024;

/// The maximum number of parts of a form.
const MAX_PARTS: usize = 32;

/// The maximum size of a chunk that the parser gets, in bytes.
const CHUNK_SIZE: usize = 16 * 1024;

/// The maximum number of bytes that the parser may take without returning data. It buffers the headers of a
/// part, and content that may be the start of a boundary.
const MAX_BUFFERED: usize = 8 * CHUNK_SIZE;

impl MultipartForm {
    /// Reads a form; `fields` are the names of its text fields. A part without content is a field that the user left
    /// empty, and is skipped. The content of an invalid part is skipped as well; [`MultipartForm::check`] returns its
    /// error.
    ///
    /// Errors: `malformed-form`, `unsupported-media-type`, `payload-too-large`, `invalid-image` for too many
    /// files.
    pub async fn read(app: &App, request: Request, fields: &[&str]) -> Result<MultipartForm> {
        let buffered = Arc::<AtomicUsize>::default();
        let (parts, body) = request.into_parts();
        check_coding(&parts.headers)?;
        let meter = parts.extensions.get::<BodyMeter>().cloned();
        let meter = meter.ok_or_else(|| Error::internal("the request has no body meter"))?;
        let body = Body::new(http_body_util::Limited::new(body, MAX_FORM_SIZE));
        let body = Body::from_stream(BoundedBody {
            body: body.into_data_stream(),
            rest: Bytes::new(),
            must_yield: false,
            buffered: Arc::clone(&buffered),
        });
        let malformed = |error: MultipartError| parser_error(error, &buffered);
        let mut form = Multipart::from_request(Request::from_parts(parts, body), &())
            .await
            .map_err(|e| Error::new(Kind::UnsupportedMediaType, e.body_text()))?;
        let mut upload = MultipartForm::default();
        let mut names = Vec::new();
        while let Some(mut part) = form.next_field().await.map_err(malformed)? {
            buffered.store(0, Ordering::Relaxed);
            if names.len() == MAX_PARTS {
                return Err(Error::new(Kind::TooLarge, "the form has too many parts"));
            }
            let headers = PartHeaders::parse(part.headers())?;
            let checked = upload.check_headers(&headers, fields, &names);
            let mut is_valid = upload.keep_error(checked)?.is_some();
            let mut sink = None;
            let mut size = 0;
            while let Some(chunk) = next_chunk(&mut part, &buffered).await.map_err(malformed)? {
                if chunk.is_empty() || !is_valid {
                    continue;
                }
                size += chunk.len();
                if sink.is_none() {
                    let opened = upload.open_sink(app, &headers);
                    sink = upload.keep_error(opened)?;
                }
                let Some(sink) = &mut sink else {
                    is_valid = false;
                    continue;
                };
                sink.check_size(size, &upload.error_field(&headers))?;
                sink.write(&chunk, &meter).await?;
            }
            if headers.is_chosen_image() && sink.is_none() {
                // The user chose an empty file. Decoding will reject it.
                sink = Some(upload.open_sink(app, &headers)?);
            }
            if let Some(sink) = sink {
                let finished = upload.finish_part(&headers, sink).await;
                upload.keep_error(finished)?;
            }
            names.push(headers.name);
        }
        Ok(upload)
    }

    /// Keeps the error of a part and returns `None`, so that the other parts are read and their errors found. Returns
    /// an error that is not about a field.
    fn keep_error<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.fields().is_empty() => Err(error),
            Err(error) => {
                field_errors::add(&mut self.errors, error.fields().to_vec());
                Ok(None)
            }
        }
    }

    /// Returns the value that was parsed from the form, or the errors of all its fields: those of its parts, and those
    /// that the parser has found.
    pub fn check<T>(mut self, parsed: Result<T>) -> Result<(T, Vec<ImageUpload>)> {
        match self.keep_error(parsed)? {
            Some(value) if self.errors.is_empty() => Ok((value, self.images)),
            _ => Err(Error::invalid(self.errors)),
        }
    }

    /// Returns the field name of a part for error messages.
    fn error_field(&self, part: &PartHeaders) -> String {
        if part.name == IMAGES {
            format!("{IMAGES}[{}]", self.images.len())
        } else {
            part.name.clone()
        }
    }

    /// Rejects a part whose headers are invalid; `names` are those of the parts before it.
    fn check_headers(&self, part: &PartHeaders, fields: &[&str], names: &[String]) -> Result<()> {
        let name = part.name.as_str();
        if name == IMAGES {
            return match part.file_name {
                FileName::Present => self.check_image_count(),
                FileName::Empty | FileName::Absent => Ok(()),
            };
        }
        if name != CHARSET && !fields.contains(&name) {
            let known: Vec<_> = fields
                .iter()
                .chain(&[IMAGES])
                .map(|field| format!("`{field}`"))
                .collect();
            return Err(unknown_field(
                name,
                &format!("expected one of {}", known.join(", ")),
            ));
        }
        if names.iter().any(|taken| taken == name) {
            return Err(Error::field(name, "duplicate", "was sent more than once"));
        }
        match part.file_name {
            FileName::Present => Err(not_text(name)),
            FileName::Empty | FileName::Absent => Ok(()),
        }
    }

    fn check_image_count(&self) -> Result<()> {
        if self.images.len() == MAX_IMAGES_PER_PRODUCT {
            let detail = format!("`{IMAGES}`: at most {MAX_IMAGES_PER_PRODUCT} images");
            return Err(INVALID_IMAGE.error(detail));
        }
        Ok(())
    }

    /// Opens the sink for the content of a part.
    fn open_sink(&self, app: &App, part: &PartHeaders) -> Result<PartSink> {
        match (part.name == IMAGES, part.file_name) {
            (true, FileName::Absent) => {
                let why = "must be a file: send the part with a `filename`";
                Err(Error::field(IMAGES, "invalid", why))
            }
            (true, FileName::Empty | FileName::Present) => {
                self.check_image_count()?;
                // An unnamed file: a killed process leaves nothing on the disk.
                let file = tempfile::tempfile_in(&app.config.data_dir);
                Ok(PartSink::File(file.map_err(|e| spool_error(&e))?.into()))
            }
            (false, FileName::Absent) => Ok(PartSink::Text(Vec::new())),
            (false, FileName::Empty | FileName::Present) => Err(not_text(&part.name)),
        }
    }

    /// Adds a part whose content has been read.
    async fn finish_part(&mut self, part: &PartHeaders, sink: PartSink) -> Result<()> {
        let bytes = match sink {
            PartSink::Text(bytes) => bytes,
            PartSink::File(mut file) => {
                file.flush().await.map_err(|e| spool_error(&e))?;
                self.images.push(ImageUpload {
                    field: self.error_field(part),
                    file: file.into_std().await,
                });
                return Ok(());
            }
        };
        let name = &part.name;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::field(name, "invalid", "must be UTF-8 text"))?;
        if name == CHARSET {
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

impl PartHeaders {
    /// Returns whether the part is an image file that the user chose. It may be empty.
    fn is_chosen_image(&self) -> bool {
        self.name == IMAGES && self.file_name == FileName::Present
    }
}

fn not_text(name: &str) -> Error {
    Error::field(name, "invalid", "must be text, not a file")
}

/// Receives the content of a part.
enum PartSink {
    Text(Vec<u8>),
    File(tokio::fs::File),
}

impl PartSink {
    fn check_size(&self, size: usize, name: &str) -> Result<()> {
        let limit = match self {
            PartSink::Text(_) => MAX_TEXT_SIZE,
            PartSink::File(_) => MAX_UPLOAD_SIZE,
        };
        if size > limit {
            let detail = format!("`{name}` is larger than {limit} bytes");
            return Err(Error::new(Kind::TooLarge, detail));
        }
        Ok(())
    }

    async fn write(&mut self, chunk: &[u8], meter: &BodyMeter) -> Result<()> {
        match self {
            PartSink::Text(text) => {
                meter.add(chunk.len())?;
                text.extend_from_slice(chunk);
            }
            PartSink::File(file) => file.write_all(chunk).await.map_err(|e| spool_error(&e))?,
        }
        Ok(())
    }
}

async fn next_chunk(
    part: &mut Field<'_>,
    buffered: &AtomicUsize,
) -> Result<Option<Bytes>, MultipartError> {
    let chunk = part.chunk().await;
    buffered.store(0, Ordering::Relaxed);
    chunk
}

/// A body in small chunks that bounds how much the parser buffers.
///
/// The parser polls its input until it is pending, before it parses anything. So the body is pending after
/// each chunk, and fails once the parser has buffered too much.
struct BoundedBody {
    body: BodyDataStream,
    /// Bytes that have been received but not passed to the parser.
    rest: Bytes,
    /// Whether the next poll returns `Pending`.
    must_yield: bool,
    /// The number of bytes passed to the parser since it last returned data.
    buffered: Arc<AtomicUsize>,
}

impl Stream for BoundedBody {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.must_yield) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                ended => return Poll::Ready(ended),
            }
        }
        let size = self.rest.len().min(CHUNK_SIZE);
        let chunk = self.rest.split_to(size);
        if self.buffered.fetch_add(size, Ordering::Relaxed) > MAX_BUFFERED {
            return Poll::Ready(Some(Err(axum::Error::new(BufferFull))));
        }
        self.must_yield = true;
        Poll::Ready(Some(Ok(chunk)))
    }
}

#[derive(Debug)]
struct BufferFull;

impl std::fmt::Display for BufferFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the multipart parser buffered too much")
    }
}

impl std::error::Error for BufferFull {}

fn parser_error(error: MultipartError, buffered: &AtomicUsize) -> Error {
    if buffered.load(Ordering::Relaxed) > MAX_BUFFERED {
        let detail = "the headers of a part, or its boundary, are missing or too long";
        return Error::new(Kind::TooLarge, detail).caused_by(error);
    }
    if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        Error::new(
            Kind::TooLarge,
            format!("the form is larger than {MAX_FORM_SIZE} bytes"),
        )
    } else {
        let detail = "the form is malformed; send valid `multipart/form-data`";
        Error::field("body", "malformed-form", detail).caused_by(error)
    }
}
