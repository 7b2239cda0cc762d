//! Phone numbers.

use serde::Deserialize;
use utoipa::ToSchema;

/// A phone number in E.164 format: `+` and 7 to 15 digits, starting with the country code.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, example = "+919812345678", pattern = r"^\+[1-9][0-9]{6,14}$")]
pub(super) struct Phone(String);

impl TryFrom<String> for Phone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let is_valid = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if is_valid {
            Ok(Phone(text))
        } else {
            Err("must be a phone number in E.164 format, e.g. `+919812345678`".to_owned())
        }
    }
}

impl Phone {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
