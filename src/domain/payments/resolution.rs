//! The resolution of an unmatched payment.

use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

use crate::core::{clock::Timestamp, id::UserId, text};

/// How an entry was resolved.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resolution {
    pub at: Timestamp,
    /// The admin. `null` if it was resolved on the command line or by a later report of the provider.
    #[schema(required)]
    pub by: Option<UserId>,
    pub note: String,
}

/// A resolution's note: 1–1000 characters, no control characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Note(String);

impl Note {
    pub const MAX_LEN: usize = 1000;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Note {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let length = text.chars().count();
        if text.trim().is_empty() || length > Self::MAX_LEN || text.chars().any(char::is_control) {
            let max = Self::MAX_LEN;
            return Err(format!(
                "must be 1 to {max} characters without control characters"
            ));
        }
        Ok(Note(text.trim().to_owned()))
    }
}

impl utoipa::PartialSchema for Note {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(Note::MAX_LEN))
            .pattern(Some(text::PATTERN))
            .into()
    }
}

impl ToSchema for Note {}
