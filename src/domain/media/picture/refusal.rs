//! Why a picture is refused, for the client.

use std::io;

use bytes::Bytes;
use image::ImageError;

use super::{MAX_SIDE, cost::BUDGET};
use crate::{
    core::error::{Error, Kind, Result},
    domain::media::STORED_LIMIT,
};

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a picture is not decoded.
pub(super) enum Refusal {
    Pixels {
        width: u32,
        height: u32,
        max: u64,
    },
    Side(u32),
    Memory,
    Stored {
        size: u64,
    },
    Animated,
    /// Pixels are missing.
    Incomplete,
    Broken(Cause),
}

impl Refusal {
    pub(super) fn broken(cause: impl Into<Cause>) -> Refusal {
        Refusal::Broken(cause.into())
    }

    /// The error for the client, who called the picture `field`.
    pub(super) fn into_error(self, field: &str) -> Error {
        let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
        let why = match &self {
            Refusal::Pixels { width, height, max } => {
                format!("the image has {width} × {height} pixels; the limit is {max} pixels")
            }
            Refusal::Side(side) => {
                format!("a side of the image has {side} pixels; the limit is {MAX_SIDE} pixels")
            }
            Refusal::Memory => {
                let limit = mib(BUDGET);
                format!("decoding the image takes more memory than the limit of {limit} MiB")
            }
            Refusal::Stored { size } => {
                let (size, limit) = (mib(*size), mib(STORED_LIMIT.into()));
                format!("the image takes {size} MiB without loss; the limit is {limit} MiB")
            }
            Refusal::Animated => {
                "the image has more than one frame; animations are not supported, \
                                  send a single picture"
                    .to_owned()
            }
            Refusal::Incomplete => {
                "the image is incomplete: pixels are missing; send the whole file".to_owned()
            }
            Refusal::Broken(_) => "the image is broken".to_owned(),
        };
        let error = Error::new(Kind::Invalid("invalid-image"), format!("`{field}`: {why}"));
        match self {
            Refusal::Broken(cause) => error.caused_by(cause),
            _ => error,
        }
    }

    /// A stored picture that exceeds a limit of today is valid all the same.
    pub(super) fn or_original(self, file: &Bytes) -> Result<Bytes> {
        match self {
            Refusal::Broken(cause) => Err(Error::internal(cause)),
            Refusal::Incomplete => Err(Error::internal("a stored image is incomplete")),
            _ => Ok(file.clone()),
        }
    }
}

impl From<ImageError> for Refusal {
    fn from(error: ImageError) -> Refusal {
        match error {
            ImageError::IoError(error) => error.into(),
            ImageError::Limits(_) => Refusal::Memory,
            error => Refusal::broken(error),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::OutOfMemory => Refusal::Memory,
            io::ErrorKind::UnexpectedEof => Refusal::Incomplete,
            _ => Refusal::broken(error),
        }
    }
}
