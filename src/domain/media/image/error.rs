//! Reasons to reject an image, and their texts for the client.

use std::io;

use bytes::Bytes;
use image::ImageError;

use super::{decode::MAX_SIDE, memory::MEMORY_BUDGET};
use crate::{
    core::error::{Error, Result},
    domain::media::{limits::MAX_STORED_SIZE, problems::INVALID_IMAGE},
};

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an image is rejected.
pub(super) enum DecodeError {
    TooManyPixels {
        width: u32,
        height: u32,
        max: u64,
    },
    /// The width or height exceeds [`MAX_SIDE`].
    SideTooLong(u32),
    /// Decoding exceeds the memory budget.
    OutOfMemory,
    /// The re-encoded file exceeds [`MAX_STORED_SIZE`].
    OutputTooLarge {
        size: u64,
    },
    /// The file has more than one frame.
    Animated,
    /// The file ends before the image data does.
    Incomplete,
    /// The file violates its format.
    Corrupt(Cause),
}

impl DecodeError {
    pub(super) fn corrupt(cause: impl Into<Cause>) -> DecodeError {
        DecodeError::Corrupt(cause.into())
    }

    /// Returns `invalid-image` for the form field or file name `field`.
    pub(super) fn for_field(self, field: &str) -> Error {
        let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
        let why = match &self {
            DecodeError::TooManyPixels { width, height, max } => {
                format!("the image has {width} × {height} pixels; the limit is {max} pixels")
            }
            DecodeError::SideTooLong(side) => {
                format!("a side of the image has {side} pixels; the limit is {MAX_SIDE} pixels")
            }
            DecodeError::OutOfMemory => {
                let limit = mib(MEMORY_BUDGET);
                format!("decoding the image takes more memory than the limit of {limit} MiB")
            }
            DecodeError::OutputTooLarge { size } => {
                let (size, limit) = (mib(*size), mib(MAX_STORED_SIZE.into()));
                format!(
                    "the image takes {size} MiB after lossless encoding; the limit is {limit} MiB"
                )
            }
            DecodeError::Animated => {
                "the image has more than one frame; animations are not supported, \
                 send a single image"
                    .to_owned()
            }
            DecodeError::Incomplete => {
                "the image is incomplete: pixels are missing; send the whole file".to_owned()
            }
            DecodeError::Corrupt(_) => "the image is corrupt".to_owned(),
        };
        let error = INVALID_IMAGE.error(format!("`{field}`: {why}"));
        match self {
            DecodeError::Corrupt(cause) => error.caused_by(cause),
            _ => error,
        }
    }

    /// Returns a stored image unchanged if it only exceeds a limit, because the limit may be newer than the
    /// image.
    pub(super) fn or_original(self, file: &Bytes) -> Result<Bytes> {
        match self {
            DecodeError::Corrupt(cause) => Err(Error::internal(cause)),
            DecodeError::Incomplete => Err(Error::internal("a stored image is incomplete")),
            _ => Ok(file.clone()),
        }
    }
}

impl From<ImageError> for DecodeError {
    fn from(error: ImageError) -> DecodeError {
        match error {
            ImageError::IoError(error) => error.into(),
            ImageError::Limits(_) => DecodeError::OutOfMemory,
            error => DecodeError::corrupt(error),
        }
    }
}

impl From<io::Error> for DecodeError {
    fn from(error: io::Error) -> DecodeError {
        match error.kind() {
            io::ErrorKind::OutOfMemory => DecodeError::OutOfMemory,
            io::ErrorKind::UnexpectedEof => DecodeError::Incomplete,
            _ => DecodeError::corrupt(error),
        }
    }
}
