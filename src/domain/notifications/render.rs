//! From templates to letters. The program brings templates along (`assets/mail`); a file of the same
//! name in the data directory's `templates` takes the place of one. What people typed is data, never a
//! template, and HTML escapes it. Amounts come as numbers; the filter `money` writes them.

use std::path::Path;

use minijinja::Environment;
use serde_json::Value;

use crate::core::{
    error::{Error, Result},
    money::{Currency, Money},
};

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../assets/mail/", $name)))),+]
    };
}

/// What the program brings along, by name.
const BUILT_IN: &[(&str, &str)] = built_in![
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
];

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The templates, those of `directory` before the program's own.
pub struct Templates(Environment<'static>);

impl Templates {
    /// Read anew for every batch of mails, so that a change shows without a restart.
    pub fn new(directory: &Path, public_url: &str, currency: Currency) -> Templates {
        let mut environment = Environment::new();
        let directory = directory.to_owned();
        environment.set_loader(move |name| {
            let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
            match std::fs::read_to_string(directory.join(name)) {
                Ok(own) => Ok(Some(own)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Ok(built_in.map(|(_, text)| (*text).to_owned()))
                }
                Err(error) => Err(minijinja::Error::new(
                    minijinja::ErrorKind::TemplateNotFound,
                    format!("`{}`: {error}", directory.join(name).display()),
                )),
            }
        });
        // A typo in a template of one's own is an error, not a hole in a mail.
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.add_filter("money", move |amount: i64| money(amount, currency));
        environment.add_global("public_url", public_url);
        environment.add_global("shop", host_of(public_url));
        Templates(environment)
    }

    /// The text begins with a line `Subject: …` and an empty one.
    pub fn render(&self, template: &str, data: &Value) -> Result<Rendered> {
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
        Ok(Rendered {
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

/// An amount in the currency's minor unit, for people.
fn money(amount: i64, currency: Currency) -> Result<String, minijinja::Error> {
    let amount = Money::try_from(amount).map_err(|why| {
        let kind = minijinja::ErrorKind::InvalidOperation;
        minijinja::Error::new(kind, format!("the amount {amount} {why}"))
    })?;
    Ok(amount.written(currency))
}

/// The host of a URL, as people call the shop.
fn host_of(url: &str) -> String {
    url.parse::<http::Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::to_owned))
        .unwrap_or_else(|| url.to_owned())
}
