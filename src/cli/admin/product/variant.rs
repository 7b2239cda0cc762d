//! `shop admin product variant …`.

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::args::{check_stock_change, parse_product_id, product_id};
use crate::{
    app::App,
    cli::{
        admin::validator::Validator,
        output::{Output, escape, format_amount},
        write::write,
    },
    core::{
        error::{Error, Result},
        id::{ProductId, VariantId},
        money::{Currency, Price},
    },
    domain::catalog::{
        self, Delta, NewVariant, Reason, VariantChanges, VariantCode, VariantWithProduct, Weight,
    },
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Variant {
    /// Create a variant of a product with options
    Add(Add),
    /// List the variants of a product
    List {
        /// Id of the product
        product: String,
    },
    /// Show a variant
    Show {
        /// Id of the variant; the only variant of a product without options has the product's id
        id: String,
    },
    /// Update a variant; fields that are not given do not change, and an empty text removes a value
    ///
    /// To change the stock, use `shop admin product variant stock`.
    Edit(Edit),
    /// Delete a variant; it is removed from carts, but stays in past orders
    Delete {
        /// Id of the variant
        id: String,
    },
    /// Change the stock of a variant
    Stock {
        /// Id of the variant
        id: String,
        /// Quantity to add, or to remove if negative
        #[arg(allow_negative_numbers = true)]
        delta: i64,
        /// Reason for the change; it is stored
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// Id of the product
    product: String,
    /// The value of an option, e.g. `Size=M`; once for each option of the product
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = pair, required = true)]
    options: Vec<(String, String)>,
    /// Price in the currency's minor unit, e.g. 49900 for 499.00
    #[arg(long, allow_negative_numbers = true)]
    price: String,
    /// Quantity in stock
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    stock: i64,
    #[command(flatten)]
    codes: Codes,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Edit {
    /// Id of the variant; the only variant of a product without options has the product's id
    id: String,
    #[command(flatten)]
    changes: EditFlags,
}

/// The changes to a variant; at least one is required.
#[derive(Debug, Args)]
#[group(required = true, multiple = true, args = [
    "price", "options", "sku", "barcode", "compare_at_price", "weight", "requires_shipping",
])]
struct EditFlags {
    /// New price in the currency's minor unit, e.g. 49900 for 499.00
    #[arg(long, allow_negative_numbers = true)]
    price: Option<String>,
    /// Another value of an option, e.g. `Size=M`; send the values of all options
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = pair)]
    options: Vec<(String, String)>,
    #[command(flatten)]
    codes: Codes,
}

/// What a variant has apart from options, price and stock.
#[derive(Debug, Args)]
#[group(skip)]
struct Codes {
    /// Stock keeping unit, up to 64 characters; unique in the shop
    #[arg(long)]
    sku: Option<String>,
    /// GTIN (EAN, UPC) or another code, up to 64 characters
    #[arg(long)]
    barcode: Option<String>,
    /// An earlier or recommended price in the currency's minor unit
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    compare_at_price: Option<String>,
    /// Weight of one unit in grams
    #[arg(long, value_name = "GRAMS", allow_negative_numbers = true)]
    weight: Option<String>,
    /// Whether the variant is sent to the customer
    #[arg(long, value_name = "BOOL")]
    requires_shipping: Option<bool>,
}

impl Variant {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Variant::Add(add) => {
                let (product, new) = add.parse(app.settings().currency)?;
                let variant = write(app, "catalog.create_variant", move |tx| {
                    catalog::create_variant(tx, product, &new)
                })
                .await?;
                output.value(&variant, &format!("created {}", name(&variant)))
            }
            Variant::List { product } => list(app, output, &product).await,
            Variant::Show { id } => {
                let id = parse_id(&id)?;
                let find = move |tx: &mut Tx<'_>| catalog::variant(tx, id);
                let variant = app.db.read("catalog.variant", find).await?;
                output.value(&variant, &details(app, &variant))
            }
            Variant::Edit(edit) => {
                let (id, changes) = edit.parse(app.settings().currency)?;
                let variant = write(app, "catalog.update_variant", move |tx| {
                    let current = catalog::variant_for_update(tx, id)?;
                    catalog::update_variant(tx, &current, &changes)
                })
                .await?;
                output.value(&variant, &format!("updated {}", name(&variant)))
            }
            Variant::Delete { id } => {
                let id = parse_id(&id)?;
                let variant = write(app, "catalog.delete_variant", move |tx| {
                    let current = catalog::variant_for_update(tx, id)?;
                    catalog::delete_variant(tx, &current)?;
                    Ok(current)
                })
                .await?;
                output.value(&variant, &format!("deleted {}", name(&variant)))
            }
            Variant::Stock { id, delta, reason } => {
                let (id, delta, reason) = parse_stock_change(&id, delta, &reason)?;
                let variant = write(app, "catalog.change_variant_stock", move |tx| {
                    let current = catalog::variant_for_update(tx, id)?;
                    catalog::change_variant_stock(tx, &current, delta, reason.as_str())
                })
                .await?;
                let stock = variant.variant.stock_quantity;
                output.value(&variant, &format!("stock of {}: {stock}", name(&variant)))
            }
        }
    }
}

impl Add {
    /// Errors: `Invalid` with every wrong argument.
    fn parse(self, currency: Currency) -> Result<(ProductId, NewVariant)> {
        let mut args = Validator::default();
        let product = args.check("PRODUCT", product_id(&self.product));
        let price = args.check("--price", Price::parse(&self.price, currency));
        let stock = args.check("--stock", self.stock.try_into());
        let codes = self.codes.check(&mut args, currency);
        let new = || {
            Some(NewVariant {
                sku: codes.sku.flatten(),
                barcode: codes.barcode.flatten(),
                options: self.options.into_iter().collect(),
                price: price?,
                compare_at_price: codes.compare_at_price.flatten(),
                stock: stock?,
                weight: codes.weight.flatten(),
                requires_shipping: codes.requires_shipping.unwrap_or(true),
                image: None,
                position: None,
            })
        };
        args.finish(product.zip(new()))
    }
}

impl Edit {
    /// Errors: `Invalid` with every wrong argument.
    fn parse(self, currency: Currency) -> Result<(VariantId, VariantChanges)> {
        let mut args = Validator::default();
        let id = args.check("ID", variant_id(&self.id));
        let flags = self.changes;
        let price = flags.price.as_deref();
        let price = price.map(|text| Price::parse(text, currency));
        let options = (!flags.options.is_empty()).then(|| flags.options.into_iter().collect());
        let changes = VariantChanges {
            price: args.check_optional("--price", price),
            options,
            ..flags.codes.check(&mut args, currency)
        };
        args.finish(id.map(|id| (id, changes)))
    }
}

impl Codes {
    /// Returns the changes, of which wrong arguments are missing.
    fn check(&self, args: &mut Validator, currency: Currency) -> VariantChanges {
        let price = |text: &str| Price::parse(text, currency);
        let code = |text: &str| VariantCode::try_from(text.to_owned());
        let compare_at_price = self.compare_at_price.as_deref();
        VariantChanges {
            sku: args.check_removable("--sku", self.sku.as_deref(), code),
            barcode: args.check_removable("--barcode", self.barcode.as_deref(), code),
            compare_at_price: args.check_removable("--compare-at-price", compare_at_price, price),
            weight: args.check_removable("--weight", self.weight.as_deref(), weight),
            requires_shipping: self.requires_shipping,
            ..VariantChanges::default()
        }
    }
}

/// Parses `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be `NAME=VALUE`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

async fn list(app: &Arc<App>, output: Output, product: &str) -> Result<()> {
    let id = parse_product_id("PRODUCT", product)?;
    let find = move |tx: &mut Tx<'_>| {
        let product = catalog::product(tx, id)?;
        catalog::with_variants(tx, product)
    };
    let shown = app.db.read("catalog.product", find).await?;
    let headings = ["id", "options", "SKU", "price", "stock"];
    output.table(&headings, &shown.variants, |variant| {
        vec![
            variant.id.to_string(),
            variant.title.clone(),
            variant.sku.clone().unwrap_or_default(),
            format_amount(app, variant.price),
            variant.stock_quantity.to_string(),
        ]
    })
}

/// Returns the names of a variant and its product, and its id.
fn name(variant: &VariantWithProduct) -> String {
    let id = variant.variant.id;
    let name = catalog::full_name(&variant.product.name, &variant.variant.title);
    format!("{} ({id})", escape(&name))
}

fn parse_id(text: &str) -> Result<VariantId> {
    variant_id(text).map_err(|error| Error::field("ID", "invalid", error))
}

/// Errors: `Invalid` with every wrong argument.
fn parse_stock_change(id: &str, delta: i64, reason: &str) -> Result<(VariantId, Delta, Reason)> {
    let mut args = Validator::default();
    let id = args.check("ID", variant_id(id));
    let change = check_stock_change(&mut args, delta, reason);
    args.finish(
        id.zip(change)
            .map(|(id, (delta, reason))| (id, delta, reason)),
    )
}

fn variant_id(text: &str) -> Result<VariantId, &'static str> {
    text.parse().map_err(|_| "must be a variant's id")
}

fn weight(text: &str) -> Result<Weight, String> {
    let rule = || format!("must be a whole number of grams from 0 to {}", Weight::MAX);
    let grams: i64 = text.trim().parse().map_err(|_| rule())?;
    Weight::try_from(grams).map_err(|_| rule())
}

fn details(app: &App, shown: &VariantWithProduct) -> String {
    let variant = &shown.variant;
    let text = |text: &Option<String>| text.as_deref().map(|text| escape(text).to_string());
    let mut lines = vec![
        name(shown),
        format!("price: {}", format_amount(app, variant.price)),
        format!("stock: {}", variant.stock_quantity),
    ];
    let optional = [
        ("SKU", text(&variant.sku)),
        ("barcode", text(&variant.barcode)),
        (
            "compare at",
            variant
                .compare_at_price
                .map(|price| format_amount(app, price)),
        ),
        (
            "weight",
            variant
                .weight_grams
                .map(|weight| format!("{} g", weight.get())),
        ),
    ];
    for (name, value) in optional {
        lines.extend(value.map(|value| format!("{name}: {value}")));
    }
    let shipping = if variant.requires_shipping {
        "yes"
    } else {
        "no"
    };
    lines.push(format!("requires shipping: {shipping}"));
    lines.join("\n")
}
