//! Finds the errors of all fields of a request, since serde stops at the first one.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::core::error::{Error, Field, Result};

/// The maximum number of fields of a request that are checked. No request has as many known ones.
pub(super) const MAX_FIELDS: usize = 32;

/// Returns the error of a body with the errors of its other fields. `first` is what serde has found, and `parse` parses
/// a body.
///
/// Each field is parsed in a body of its own, and errors about the fields that this body lacks are ignored. The schema
/// tells which fields are required.
pub(super) fn with_all_fields<T: DeserializeOwned + PartialSchema>(
    first: &Error,
    body: Map<String, Value>,
    parse: impl Fn(Value) -> Result<T>,
) -> Error {
    let required = match T::schema() {
        RefOr::T(Schema::Object(object)) => object.required,
        _ => Vec::new(),
    };
    let missing = required
        .into_iter()
        .filter(|name| !body.contains_key(name))
        .map(|name| Field::new(name, "required", "is required"))
        .collect();
    let mut errors = first.fields().to_vec();
    for (name, value) in body.into_iter().take(MAX_FIELDS) {
        let alone = Map::from_iter([(name.clone(), value)]);
        if let Err(error) = parse(alone.into()) {
            let own = error
                .fields()
                .iter()
                .filter(|it| is_within(&it.field, &name));
            add(&mut errors, own.cloned().collect());
        }
    }
    add(&mut errors, missing);
    Error::invalid(errors)
}

/// Returns whether a path is that of the field `name`, or of a part of its value.
fn is_within(path: &str, name: &str) -> bool {
    path.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Adds errors of fields that have none yet.
pub fn add(errors: &mut Vec<Field>, more: Vec<Field>) {
    for field in more {
        if errors.iter().all(|known| known.field != field.field) {
            errors.push(field);
        }
    }
}
