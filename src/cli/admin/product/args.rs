//! The arguments of the product commands, and their validation.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::admin::validator::Validator,
    core::{
        error::{Error, Field, Result},
        id::ProductId,
        money::{Currency, Price},
    },
    domain::catalog::{CategoryName, Changes, Delta, NewProduct, Reason},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// Name, 1 to 200 characters
    #[arg(long)]
    name: String,
    /// Price in the currency's minor unit, e.g. 49900 for 499.00
    #[arg(long, allow_negative_numbers = true)]
    price: String,
    /// Quantity in stock
    #[arg(long, allow_negative_numbers = true)]
    stock: i64,
    /// Name of an existing category
    #[arg(long)]
    category: Option<String>,
    /// Description, up to 10,000 characters
    #[arg(long, default_value = "")]
    description: String,
    /// Image file (JPEG, PNG, WebP or GIF); repeat for up to 8 images
    #[arg(long, value_name = "FILE")]
    pub(super) image: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Edit {
    /// Id of the product
    id: String,
    #[command(flatten)]
    changes: EditFlags,
}

/// The changes to a product; at least one is required.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct EditFlags {
    /// New name, 1 to 200 characters
    #[arg(long)]
    name: Option<String>,
    /// New price in the currency's minor unit, e.g. 49900 for 499.00
    #[arg(long, allow_negative_numbers = true)]
    price: Option<String>,
    /// Name of an existing category; an empty name removes the product from its category
    #[arg(long)]
    category: Option<String>,
    /// New description, up to 10,000 characters
    #[arg(long)]
    description: Option<String>,
    /// Image file to add (JPEG, PNG, WebP or GIF); a product has up to 8 images
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
}

/// The effect of `--category`.
#[derive(Debug, Clone)]
pub(super) enum CategoryChange {
    Keep,
    Clear,
    Set(CategoryName),
}

impl Add {
    pub(super) fn category(&self) -> Option<&str> {
        self.category.as_deref()
    }

    pub(super) fn images(&self) -> &[PathBuf] {
        &self.image
    }

    /// Returns the product without its category, and the category's name. `not_found` has the errors about a missing
    /// category and unreadable files.
    ///
    /// Errors: `Invalid` with every wrong argument.
    pub(super) fn parse(
        &self,
        currency: Currency,
        not_found: Vec<Field>,
    ) -> Result<(NewProduct, Option<CategoryName>)> {
        let mut args = Validator::default();
        let name = args.check("--name", self.name.clone().try_into());
        let description = args.check("--description", self.description.clone().try_into());
        let price = args.check("--price", Price::parse(&self.price, currency));
        let stock = args.check("--stock", self.stock.try_into());
        let category = self.category.clone().map(CategoryName::try_from);
        let category = args.check_optional("--category", category);
        args.extend(not_found);
        let product = || {
            Some(NewProduct {
                name: name?,
                description: description?,
                price: price?,
                stock: stock?,
                category: None,
            })
        };
        args.finish(product().map(|product| (product, category)))
    }
}

impl Edit {
    pub(super) fn category(&self) -> Option<&str> {
        self.changes.category.as_deref()
    }

    pub(super) fn images(&self) -> &[PathBuf] {
        &self.changes.image
    }

    /// Returns the id of the product, the changes without the category, and the change of the category. `not_found` has
    /// the errors about a missing category and unreadable files.
    ///
    /// Errors: `Invalid` with every wrong argument.
    pub(super) fn parse(
        &self,
        currency: Currency,
        not_found: Vec<Field>,
    ) -> Result<(ProductId, Changes, CategoryChange)> {
        let mut args = Validator::default();
        let id = args.check("ID", product_id(&self.id));
        let EditFlags {
            name, description, ..
        } = &self.changes;
        let price = self.changes.price.as_deref();
        let price = price.map(|text| Price::parse(text, currency));
        let changes = Changes {
            name: args.check_optional("--name", name.clone().map(TryInto::try_into)),
            description: args
                .check_optional("--description", description.clone().map(TryInto::try_into)),
            price: args.check_optional("--price", price),
            ..Changes::default()
        };
        let category = match self.changes.category.as_deref() {
            None => Some(CategoryChange::Keep),
            Some(name) if name.trim().is_empty() => Some(CategoryChange::Clear),
            Some(name) => args
                .check("--category", CategoryName::try_from(name.to_owned()))
                .map(CategoryChange::Set),
        };
        args.extend(not_found);
        let parsed = id.zip(category);
        args.finish(parsed.map(|(id, category)| (id, changes, category)))
    }
}

pub(in crate::cli::admin) fn product_id(text: &str) -> Result<ProductId, &'static str> {
    text.parse().map_err(|_| "must be a product's id")
}

pub(super) fn parse_id(text: &str) -> Result<ProductId> {
    parse_product_id("ID", text)
}

/// Parses the argument `name`.
pub(super) fn parse_product_id(name: &str, text: &str) -> Result<ProductId> {
    product_id(text).map_err(|error| Error::field(name, "invalid", error))
}

/// Returns the delta and the reason of a stock change, or records their errors.
pub(super) fn check_stock_change(
    args: &mut Validator,
    delta: i64,
    reason: &str,
) -> Option<(Delta, Reason)> {
    let delta = args.check("DELTA", Delta::try_from(delta));
    let reason = args.check("--reason", Reason::try_from(reason.to_owned()));
    delta.zip(reason)
}

/// Errors: `Invalid` with every wrong argument.
pub(super) fn parse_stock_change(
    id: &str,
    delta: i64,
    reason: &str,
) -> Result<(ProductId, Delta, Reason)> {
    let mut args = Validator::default();
    let id = args.check("ID", product_id(id));
    let change = check_stock_change(&mut args, delta, reason);
    args.finish(
        id.zip(change)
            .map(|(id, (delta, reason))| (id, delta, reason)),
    )
}
