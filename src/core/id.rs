//! Typed ids. Each is a `UUIDv7` (RFC 9562): it sorts by creation time and cannot be guessed from another.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;

use crate::core::column::{Cell, Column, Value};

/// The error of parsing an id. Only one spelling is valid: lower-case hex with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an id: a UUID in lower case, with hyphens")
    }
}

impl std::error::Error for InvalidId {}

/// The valid spelling as a regular expression (ECMA-262) for JSON Schema.
const PATTERN: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

/// Parses the canonical spelling only, so that one row never has two ids.
fn parse(text: &str) -> Result<Uuid, InvalidId> {
    let id = Uuid::try_parse(text).map_err(|_| InvalidId)?;
    let mut canonical = [0; uuid::fmt::Hyphenated::LENGTH];
    if id.hyphenated().encode_lower(&mut canonical) == text {
        Ok(id)
    } else {
        Err(InvalidId)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map($name)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                $name(id)
            }
        }

        impl<'a> Column<'a> for $name {
            fn from_cell(cell: Cell<'a>) -> Option<Self> {
                Uuid::from_cell(cell).map($name)
            }
        }

        impl From<$name> for Value<'_> {
            fn from(id: $name) -> Self {
                Value::Id(id.0)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
                    .pattern(Some(PATTERN))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )+};
}

ids! {
    UserId,
    /// A login session; the `sid` claim of access tokens.
    SessionId,
    CategoryId,
    CollectionId,
    ProductId,
    /// The unit of sale. The only variant of a product without options has the product's UUID.
    VariantId,
    /// An option of a product, for example its size.
    OptionId,
    /// A value of an option, for example `M`.
    OptionValueId,
    CartId,
    ImageId,
    OrderId,
    OrderItemId,
    PaymentId,
    RefundId,
    /// An email in the outbox.
    MailId,
}

impl ProductId {
    /// Returns the id of the variant that every product without options has.
    pub fn default_variant(self) -> VariantId {
        VariantId(self.0)
    }
}
