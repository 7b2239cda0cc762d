//! The problem types of images.

use crate::core::{error::Kind, problem::ProblemType};

/// Every problem type of this domain.
pub const ALL: &[ProblemType] = &[INVALID_IMAGE];

pub const INVALID_IMAGE: ProblemType = ProblemType::new(
    Kind::Invalid("invalid-image"),
    "Image cannot be processed",
    "Send a complete JPEG, PNG, WebP or GIF within the limit that `detail` names (16 megapixels by default). A product can have up to 8 images.",
);
