//! Checks the arguments of a command.

use std::fmt::Display;

use crate::core::error::{Error, Field, Result};

/// Collects the errors of several arguments, so that all are reported together.
#[derive(Default)]
pub(super) struct Validator(Vec<Field>);

impl Validator {
    /// Returns the value, or records the error of the argument `name`.
    pub(super) fn check<T>(&mut self, name: &str, value: Result<T, impl Display>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.push(Field::new(name, "invalid", error.to_string()));
                None
            }
        }
    }

    pub(super) fn check_optional<T>(
        &mut self,
        name: &str,
        value: Option<Result<T, impl Display>>,
    ) -> Option<T> {
        value.and_then(|value| self.check(name, value))
    }

    /// Returns the change by an optional argument: an empty text removes the value.
    #[expect(
        clippy::option_option,
        reason = "absent, removed and set have different meanings"
    )]
    pub(super) fn check_removable<T, E: Display>(
        &mut self,
        name: &str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let text = text?;
        if text.trim().is_empty() {
            return Some(None);
        }
        self.check(name, parse(text)).map(Some)
    }

    pub(super) fn extend(&mut self, errors: Vec<Field>) {
        self.0.extend(errors);
    }

    /// Errors: `Invalid` with all recorded errors.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Error::invalid(self.0)),
        }
    }
}
