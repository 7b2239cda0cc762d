//! A re-encoded image.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Seek},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use image::{DynamicImage, ImageFormat};

use super::{decode, encode, error::DecodeError, memory::MemoryGuard};
use crate::{
    core::error::{Error, Kind, Result},
    domain::media::limits::MAX_STORED_SIZE,
};

/// A larger lossless file is encoded as JPEG if the image is opaque, in bytes.
const MAX_LOSSLESS_SIZE: u64 = 10 * 1024 * 1024;

/// A re-encoded image in an unnamed temporary file, which the system deletes when it is closed.
#[derive(Debug, Clone)]
pub(crate) struct EncodedImage {
    file: Arc<File>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    format: ImageFormat,
}

impl EncodedImage {
    /// Detects the format of an upload by its content, decodes it and encodes it into a file in the directory
    /// `spool`. It may take seconds of CPU time: run it on the image pool.
    ///
    /// Errors: `unsupported-media-type`; `invalid-image`, whose detail names `field` and the limit.
    pub(crate) fn from_upload(
        file: File,
        spool: &Path,
        field: &str,
        max_pixels: u64,
    ) -> Result<EncodedImage> {
        let mut source = BufReader::with_capacity(16 * 1024, MemoryGuard::new(file));
        let format = source
            .rewind()
            .and_then(|()| source.fill_buf().map(image::guess_format))
            .map_err(|error| spool_error(&error))?
            .ok()
            .filter(|format| is_supported(*format))
            .ok_or_else(|| {
                let detail = format!("`{field}`: images must be JPEG, PNG, WebP or GIF");
                Error::new(Kind::UnsupportedMediaType, detail)
            })?;
        let rejected = |error: DecodeError| error.for_field(field);
        let image = decode::upload(source, format, max_pixels).map_err(rejected)?;
        let encode_as = |format| EncodedImage::encode(&image, format, spool);
        let mut encoded = encode_as(encode::output_format(&image, format))?;
        if encoded.size()? > MAX_LOSSLESS_SIZE && encoded.format != ImageFormat::Jpeg {
            let compact = encode::compact_format(&image);
            if compact != encoded.format {
                encoded = encode_as(compact)?;
            }
        }
        let size = encoded.size()?;
        if size > MAX_STORED_SIZE.into() {
            return Err(rejected(DecodeError::OutputTooLarge { size }));
        }
        Ok(encoded)
    }

    fn encode(image: &DynamicImage, format: ImageFormat, spool: &Path) -> Result<EncodedImage> {
        let file = tempfile::tempfile_in(spool).map_err(|error| spool_error(&error))?;
        let mut sink = BufWriter::new(file);
        encode::encode(image, format, &mut sink).map_err(|error| match error {
            image::ImageError::IoError(error) => spool_error(&error),
            error => Error::internal(error),
        })?;
        let file = sink
            .into_inner()
            .map_err(|error| spool_error(error.error()))?;
        Ok(EncodedImage {
            file: Arc::new(file),
            width: image.width(),
            height: image.height(),
            format,
        })
    }

    /// Returns the size of the file, in bytes.
    pub(crate) fn size(&self) -> Result<u64> {
        let metadata = self.file.metadata().map_err(|e| spool_error(&e))?;
        Ok(metadata.len())
    }

    /// Returns the content of the file.
    pub(crate) fn bytes(&self) -> Result<Bytes> {
        let mut file = self.file.as_ref();
        let mut bytes = Vec::new();
        file.rewind()
            .and_then(|()| file.read_to_end(&mut bytes))
            .map_err(|error| spool_error(&error))?;
        Ok(bytes.into())
    }

    pub(crate) fn content_type(&self) -> &'static str {
        self.format.to_mime_type()
    }

    pub(crate) fn extension(&self) -> &'static str {
        self.format
            .extensions_str()
            .first()
            .copied()
            .unwrap_or("bin")
    }
}

fn is_supported(format: ImageFormat) -> bool {
    matches!(
        format,
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif
    )
}

/// Converts an I/O error of the disk that uploads are spooled to.
pub(crate) fn spool_error(error: &std::io::Error) -> Error {
    let (kind, detail) = match error.kind() {
        std::io::ErrorKind::StorageFull => {
            (Kind::StorageFull, "the disk is full; nothing was stored")
        }
        _ => (Kind::Internal, "something went wrong on our side"),
    };
    Error::new(kind, detail).caused_by(error.to_string())
}
