//! Merges the sources and parses the values.

use serde::Serialize;

use super::{
    Config,
    setting::Setting,
    settings::SETTINGS,
    sources::{Layer, Value},
};
use crate::core::error::{self, Error};

/// Parses settings, and collects the errors.
pub(super) struct Reader<'a> {
    layers: &'a [Layer],
    errors: Vec<String>,
}

impl Reader<'_> {
    /// Parses the effective value of a setting. Returns `None` if it is wrong.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        parse: impl Fn(Option<&str>) -> Result<T, String>,
    ) -> Option<T> {
        let value = find(self.layers, name);
        let text = value.map(Value::text).or_else(|| default_of(name));
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let source = value.map(|value| format!("{}: ", value.source));
                let source = source.unwrap_or_default();
                self.errors.push(format!("{source}`{name}` {error}"));
                None
            }
        }
    }
}

impl Config {
    /// Merges and parses the layers, which are in order of precedence.
    ///
    /// Errors: everything that is wrong, in one line, each with its source and what it must be.
    pub fn from_layers(layers: &[Layer]) -> Result<Config, String> {
        let errors = layers.iter().flat_map(Layer::errors).cloned().collect();
        let mut reader = Reader { layers, errors };
        match Config::read(&mut reader) {
            Some(config) if reader.errors.is_empty() => Ok(config),
            _ => Err(join_errors(&reader.errors)),
        }
    }
}

/// Joins the errors of settings into one line.
pub fn join_errors(errors: &[String]) -> String {
    if let [error] = errors {
        return error.clone();
    }
    let numbered = errors.iter().zip(1..);
    let numbered: Vec<_> = numbered
        .map(|(error, number)| format!("({number}) {error}"))
        .collect();
    let (count, numbered) = (errors.len(), numbered.join("; "));
    format!("{count} settings are wrong: {numbered}")
}

/// Returns two values that settings describe.
///
/// Errors: what is wrong with either, in one line.
pub fn both<A, B>(a: error::Result<A>, b: error::Result<B>) -> error::Result<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) => {
            let detail = format!("{}; {}", a.detail(), b.detail());
            Err(Error::new(a.kind(), detail))
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

/// The effective value of a setting and its source. Secrets are redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EffectiveSetting {
    pub name: &'static str,
    /// `None` if it is not set and has no default.
    pub value: Option<String>,
    pub origin: &'static str,
}

/// Returns the effective value of every setting. The layers are in order of precedence.
pub fn explain(layers: &[Layer]) -> Vec<EffectiveSetting> {
    let effective = |setting: &Setting| {
        let value = find(layers, setting.name);
        let text = value.map(Value::text).or(setting.default_value());
        let redact = |text: &str| match text {
            "" => String::new(),
            _ if setting.is_secret => "[redacted]".to_owned(),
            text => text.to_owned(),
        };
        EffectiveSetting {
            name: setting.name,
            value: text.map(redact),
            origin: value.map_or("default", |value| value.source.kind()),
        }
    };
    SETTINGS.iter().map(effective).collect()
}

fn find<'a>(layers: &'a [Layer], name: &str) -> Option<&'a Value> {
    layers.iter().find_map(|layer| layer.value(name))
}

fn default_of(name: &str) -> Option<&'static str> {
    let setting = SETTINGS.iter().find(|setting| setting.name == name)?;
    setting.default_value()
}
