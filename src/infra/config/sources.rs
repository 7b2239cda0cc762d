//! The sources of settings. Each makes a [`Layer`] of texts that remember where they were set.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;

use super::{
    Secret,
    setting::Setting,
    settings::{SETTINGS, TRANSFER_URLS},
};

/// The environment variable that names the configuration file.
pub const FILE_VARIABLE: &str = "SHOP_CONFIG";

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The flag with its hyphens.
    Flag(String),
    /// The name of the variable.
    Environment(String),
    /// The path of the configuration file.
    File(PathBuf),
}

impl Source {
    /// Returns what `shop config` shows.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Source::Flag(_) => "flag",
            Source::Environment(_) => "environment",
            Source::File(_) => "file",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(name) | Source::Environment(name) => write!(f, "`{name}`"),
            Source::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

/// The text of a setting, and where it was set. Any text may be a secret, so `Debug` shows none.
#[derive(Debug, Clone)]
pub(super) struct Value {
    text: Secret,
    pub(super) source: Source,
}

impl Value {
    fn new(text: String, source: Source) -> Value {
        Value {
            text: text.into(),
            source,
        }
    }

    pub(super) fn text(&self) -> &str {
        self.text.expose_secret()
    }
}

/// The values from one source by the name of their setting, and what is wrong with the source.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    values: BTreeMap<String, Value>,
    errors: Vec<String>,
}

impl Layer {
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Returns the text of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.value(name).map(Value::text)
    }

    /// Returns what is wrong, apart from the values.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Returns the settings in flags, by the name of the setting.
    pub fn from_flags<N: Into<String>, T: Into<String>>(
        flags: impl IntoIterator<Item = (N, T)>,
    ) -> Layer {
        let value = |(name, text): (N, T)| {
            let name = name.into();
            let flag = all().find(|setting| setting.name == name);
            let flag = flag.and_then(|setting| setting.flag.as_ref());
            let flag = flag.map_or(name.as_str(), |flag| flag.name);
            let source = Source::Flag(format!("--{flag}"));
            (name, Value::new(text.into(), source))
        };
        Layer {
            values: flags.into_iter().map(value).collect(),
            errors: Vec::new(),
        }
    }

    /// Returns the settings in environment variables. Unknown variables that begin with `SHOP_` and unreadable
    /// `SHOP_…_FILE` are errors.
    pub fn from_environment(
        variables: &BTreeMap<String, String>,
        read_file: impl Fn(&str) -> io::Result<String>,
    ) -> Layer {
        let mut layer = Layer::default();
        let unknown = variables.keys().filter(|name| is_unknown_variable(name));
        if let Some(error) = unknown_names("environment variable", unknown) {
            let error = format!("{error}, each with the prefix `SHOP_` and in upper case");
            layer.errors.push(error);
        }
        for setting in all() {
            let variable = setting.variable();
            if let Some(text) = variables.get(&variable) {
                layer.insert(setting, text, Source::Environment(variable));
                continue;
            }
            let Some(variable) = setting.file_variable() else {
                continue;
            };
            let Some(path) = variables.get(&variable) else {
                continue;
            };
            match read_file(path) {
                Ok(text) => layer.insert(setting, text.trim_end(), Source::Environment(variable)),
                Err(error) => layer
                    .errors
                    .push(format!("`{variable}`: `{path}`: {error}")),
            }
        }
        layer
    }

    /// Parses `shop.toml`. The items of a list are joined by commas. Errors are a text that is not TOML, unknown
    /// keys, and unsupported types.
    pub fn from_file(path: &Path, text: &str) -> Layer {
        let mut layer = Layer::default();
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                layer.add_error(path, &syntax_error(text, &error));
                return layer;
            }
        };
        let is_unknown = |name: &&String| SETTINGS.iter().all(|setting| setting.name != *name);
        if let Some(error) = unknown_names("key", table.keys().filter(is_unknown)) {
            layer.add_error(path, &error);
        }
        for setting in SETTINGS {
            match table.get(setting.name).map(scalar) {
                None => {}
                Some(Some(text)) => layer.insert(setting, &text, Source::File(path.to_owned())),
                Some(None) => {
                    let name = setting.name;
                    let error =
                        format!("`{name}` must be a string, an integer, a boolean or an array");
                    layer.add_error(path, &error);
                }
            }
        }
        layer
    }

    fn insert(&mut self, setting: &Setting, text: &str, source: Source) {
        let value = Value::new(text.to_owned(), source);
        self.values.insert(setting.name.to_owned(), value);
    }

    /// Adds an error in a configuration file.
    pub fn add_error(&mut self, path: &Path, error: &str) {
        self.errors.push(format!("`{}`: {error}", path.display()));
    }
}

/// Returns the settings and the arguments that are set like them.
fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(TRANSFER_URLS)
}

/// Returns the error for unknown names, or `None` if there are none.
fn unknown_names<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    let names = quoted(names.map(String::as_str));
    let known = quoted(SETTINGS.iter().map(|setting| setting.name));
    (!names.is_empty()).then(|| format!("unknown {what} {names}; known keys are {known}"))
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Prefixes of variables that are not settings: Kubernetes sets some for a service named `shop`; the tests have
/// their own.
const FOREIGN_PREFIXES: [&str; 4] = ["SHOP_SERVICE_", "SHOP_PORT", "SHOP_TEST_", "SHOP_BENCH_"];

/// Whether a variable looks like a setting, but is none.
fn is_unknown_variable(name: &str) -> bool {
    let is_of = |setting: &Setting| {
        setting.variable() == name || setting.file_variable().is_some_and(|it| it == name)
    };
    name.starts_with("SHOP_")
        && name != FILE_VARIABLE
        && !FOREIGN_PREFIXES.iter().any(|start| name.starts_with(start))
        && !all().any(is_of)
}

/// Returns a syntax error in one line; the parser's own message has several.
fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line} is not valid TOML: {}", error.message())
}

/// Returns a value as text, or `None` if its type is not supported.
fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(if *on { "on" } else { "off" }.to_owned()),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(scalar).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}
