//! Email templates (`MiniJinja`).
//!
//! The templates in `assets/mail` are embedded in the binary. A file with the same name in the data
//! directory's folder `templates` overrides one. User input is passed as data, never as a template, and is
//! escaped in HTML. Amounts are passed as numbers and formatted by the filter `money`.

use std::path::Path;

use minijinja::Environment;
use serde_json::Value;

use crate::core::{
    error::{Error, Result},
    money::{Currency, Money},
    shop_settings::ShopSettings,
};

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../assets/mail/", $name)))),+]
    };
}

/// The embedded templates: name and text.
const EMBEDDED: &[(&str, &str)] = embedded![
    "layout.html",
    "button.html",
    "hello.html",
    "hello.txt",
    "items.html",
    "items.txt",
    "verify.html",
    "verify.txt",
    "reset.html",
    "reset.txt",
    "password-changed.html",
    "password-changed.txt",
    "order-placed.html",
    "order-placed.txt",
    "order-paid.html",
    "order-paid.txt",
    "order-shipped.html",
    "order-shipped.txt",
    "order-delivered.html",
    "order-delivered.txt",
    "order-cancelled.html",
    "order-cancelled.txt",
    "order-refunded.html",
    "order-refunded.txt",
    "backup-failed.html",
    "backup-failed.txt",
];

/// The content of an email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedEmail {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The email templates: those of the data directory, then the embedded ones.
pub struct Templates(Environment<'static>);

/// Returns the templates of a shop.
pub fn templates(data_dir: &Path, settings: &ShopSettings) -> Templates {
    let directory = data_dir.join("templates");
    Templates::new(&directory, settings)
}

impl Templates {
    /// Creates a loader for the files in `directory`. It is created for every attempt to send an email, so that
    /// a changed file takes effect without a restart.
    pub fn new(directory: &Path, settings: &ShopSettings) -> Templates {
        let currency = settings.currency;
        let mut environment = Environment::new();
        let directory = directory.to_owned();
        environment.set_loader(move |name| {
            let embedded = EMBEDDED.iter().find(|(known, _)| *known == name);
            match std::fs::read_to_string(directory.join(name)) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Ok(embedded.map(|(_, text)| (*text).to_owned()))
                }
                Err(error) => Err(minijinja::Error::new(
                    minijinja::ErrorKind::TemplateNotFound,
                    format!("`{}`: {error}", directory.join(name).display()),
                )),
            }
        });
        // A misspelled variable is an error instead of an empty text.
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.add_filter("money", move |amount: i64| money(amount, currency));
        environment.add_global("public_url", settings.public_url.as_str());
        environment.add_global("shop", settings.name.as_str());
        Templates(environment)
    }

    /// Renders `<template>.txt` and `<template>.html`. The text starts with a line `Subject: …` and an
    /// empty line.
    ///
    /// Errors: `Unavailable`, with the name of the template.
    pub fn render(&self, template: &str, data: &Value) -> Result<RenderedEmail> {
        let text = self.part(&format!("{template}.txt"), data)?;
        let html = self.part(&format!("{template}.html"), data)?;
        let (subject, text) = text
            .strip_prefix("Subject:")
            .and_then(|rest| rest.split_once('\n'))
            .ok_or_else(|| {
                Error::unavailable(format!(
                    "the template `{template}.txt` must begin with a line `Subject: …`"
                ))
            })?;
        Ok(RenderedEmail {
            subject: subject.trim().to_owned(),
            text: text.trim_start().to_owned(),
            html,
        })
    }

    fn part(&self, name: &str, data: &Value) -> Result<String> {
        self.0
            .get_template(name)
            .and_then(|template| template.render(minijinja::value::Serde(data)))
            .map_err(|error| Error::unavailable(format!("the template `{name}`: {error:#}")))
    }
}

/// Formats an amount in the currency's minor unit.
fn money(amount: i64, currency: Currency) -> Result<String, minijinja::Error> {
    let amount = Money::try_from(amount).map_err(|why| {
        let kind = minijinja::ErrorKind::InvalidOperation;
        minijinja::Error::new(kind, format!("the amount {amount} {why}"))
    })?;
    Ok(amount.format(currency))
}
