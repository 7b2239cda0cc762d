//! What the commands about products are given, and what is wrong with it.

use std::{fmt::Display, path::PathBuf};

use clap::Args;

use crate::{
    core::{
        error::{Error, Field, Result},
        id::ProductId,
        money::{Currency, Price},
    },
    domain::catalog::{CategoryName, Changes, Delta, NewProduct, Reason},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// 1 to 200 characters
    #[arg(long)]
    name: String,
    /// In the currency's minor unit: 49900 is 499.00
    #[arg(long, allow_negative_numbers = true)]
    price: String,
    /// How many there are to sell
    #[arg(long, allow_negative_numbers = true)]
    stock: i64,
    /// The name of a category
    #[arg(long)]
    category: Option<String>,
    /// Up to 10,000 characters, line breaks included
    #[arg(long, default_value = "")]
    description: String,
    /// A picture: JPEG, PNG, WebP or GIF; may be given up to 8 times
    #[arg(long, value_name = "FILE")]
    pub(super) image: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Edit {
    /// The product's id
    id: String,
    #[command(flatten)]
    fields: Fields,
}

/// What to change of a product: at least one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Fields {
    /// 1 to 200 characters
    #[arg(long)]
    name: Option<String>,
    /// In the currency's minor unit: 49900 is 499.00
    #[arg(long, allow_negative_numbers = true)]
    price: Option<String>,
    /// The name of a category; an empty one takes the product out of its category
    #[arg(long)]
    category: Option<String>,
    /// Up to 10,000 characters, line breaks included
    #[arg(long)]
    description: Option<String>,
    /// A picture to add: JPEG, PNG, WebP or GIF; a product has up to 8
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
}

/// What `--category` makes of a product's category.
#[derive(Debug, Clone)]
pub(super) enum NewCategory {
    Same,
    None,
    Named(CategoryName),
}

/// The values of flags and everything wrong with them.
#[derive(Default)]
struct Values(Vec<Field>);

impl Values {
    fn read<T>(&mut self, flag: &str, value: Result<T, impl Display>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(why) => {
                self.0.push(Field::new(flag, "invalid", why.to_string()));
                None
            }
        }
    }

    /// As [`Values::read`], for a flag that may be left out.
    fn read_some<T>(&mut self, flag: &str, value: Option<Result<T, impl Display>>) -> Option<T> {
        value.and_then(|value| self.read(flag, value))
    }

    fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Error::invalid(self.0)),
        }
    }
}

impl Add {
    /// The category is found later.
    pub(super) fn parse(&self, currency: Currency) -> Result<(NewProduct, Option<CategoryName>)> {
        let mut values = Values::default();
        let name = values.read("--name", self.name.clone().try_into());
        let description = values.read("--description", self.description.clone().try_into());
        let price = values.read("--price", Price::parse(&self.price, currency));
        let stock = values.read("--stock", self.stock.try_into());
        let category = self.category.clone().map(CategoryName::try_from);
        let category = values.read_some("--category", category);
        let new = || {
            Some(NewProduct {
                name: name?,
                description: description?,
                price: price?,
                stock: stock?,
                category: None,
            })
        };
        values.finish(new().map(|new| (new, category)))
    }
}

impl Edit {
    pub(super) fn images(&self) -> &[PathBuf] {
        &self.fields.image
    }

    /// The category is found later.
    pub(super) fn parse(&self, currency: Currency) -> Result<(ProductId, Changes, NewCategory)> {
        let mut values = Values::default();
        let id = values.read("ID", parse_id(&self.id));
        let Fields {
            name, description, ..
        } = &self.fields;
        let price = self.fields.price.as_deref();
        let price = price.map(|text| Price::parse(text, currency));
        let changes = Changes {
            name: values.read_some("--name", name.clone().map(TryInto::try_into)),
            description: values
                .read_some("--description", description.clone().map(TryInto::try_into)),
            price: values.read_some("--price", price),
            ..Changes::default()
        };
        let category = match self.fields.category.as_deref() {
            None => Some(NewCategory::Same),
            Some(name) if name.trim().is_empty() => Some(NewCategory::None),
            Some(name) => values
                .read("--category", CategoryName::try_from(name.to_owned()))
                .map(NewCategory::Named),
        };
        let parsed = id.zip(category);
        values.finish(parsed.map(|(id, category)| (id, changes, category)))
    }
}

fn parse_id(id: &str) -> Result<ProductId, &'static str> {
    id.parse().map_err(|_| "must be a product's id")
}

pub(super) fn find_id(id: &str) -> Result<ProductId> {
    parse_id(id).map_err(|why| Error::field("ID", "invalid", why))
}

pub(super) fn parse_movement(
    id: &str,
    delta: i64,
    reason: &str,
) -> Result<(ProductId, Delta, Reason)> {
    let mut values = Values::default();
    let id = values.read("ID", parse_id(id));
    let delta = values.read("DELTA", Delta::try_from(delta));
    let reason = values.read("--reason", Reason::try_from(reason.to_owned()));
    let parsed = || Some((id?, delta?, reason?));
    values.finish(parsed())
}
