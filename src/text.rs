//! Short texts such as names: one rule, and the schema that states it.

/// How long a short text may be, in characters.
pub const MAX_LEN: usize = 200;

/// The rule of [`short`] as a pattern (ECMA-262): no control character, and not blank.
pub const PATTERN: &str = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$";

/// Returns the text without surrounding white space.
///
/// Errors if it is blank, longer than [`MAX_LEN`], or has a control character.
pub fn short(text: &str) -> Result<String, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() || text.chars().count() > MAX_LEN || text.chars().any(char::is_control) {
        return Err(format!(
            "must be 1 to {MAX_LEN} characters without control characters"
        ));
    }
    Ok(trimmed.to_owned())
}

/// Defines types that hold a [`short`] text.
macro_rules! short_texts {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                $crate::text::short(&text).map($name)
            }
        }

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .min_length(Some(1))
                    .max_length(Some($crate::text::MAX_LEN))
                    .pattern(Some($crate::text::PATTERN))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )+};
}

pub(crate) use short_texts;
