//! `shop admin product variant …`.

use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::{
    app::App,
    cli::{
        admin::validator::Validator,
        output::{Output, escape, format_amount},
        write::write,
    },
    core::{
        error::{Error, Result},
        id::VariantId,
        money::{Currency, Price},
    },
    domain::catalog::{self, VariantChanges, VariantCode, VariantWithProduct, Weight},
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Variant {
    /// Show a variant
    Show {
        /// Id of the variant; the only variant of a product has the product's id
        id: String,
    },
    /// Update a variant; fields that are not given do not change, and an empty text removes a value
    ///
    /// To change the price or the stock, use `shop admin product edit` and `stock`.
    Edit(Edit),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Edit {
    /// Id of the variant; the only variant of a product has the product's id
    id: String,
    #[command(flatten)]
    changes: EditFlags,
}

/// The changes to a variant; at least one is required.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct EditFlags {
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
            Variant::Show { id } => {
                let id = variant_id(&id).map_err(|error| Error::field("ID", "invalid", error))?;
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
                let name = escape(&variant.product.name);
                output.value(&variant, &format!("updated {name} ({id})"))
            }
        }
    }
}

impl Edit {
    /// Errors: `Invalid` with every wrong argument.
    fn parse(self, currency: Currency) -> Result<(VariantId, VariantChanges)> {
        let mut args = Validator::default();
        let id = args.check("ID", variant_id(&self.id));
        let flags = self.changes;
        let price = |text: &str| Price::parse(text, currency);
        let code = |text: &str| VariantCode::try_from(text.to_owned());
        let changes = VariantChanges {
            sku: args.check_removable("--sku", flags.sku.as_deref(), code),
            barcode: args.check_removable("--barcode", flags.barcode.as_deref(), code),
            compare_at_price: args.check_removable(
                "--compare-at-price",
                flags.compare_at_price.as_deref(),
                price,
            ),
            weight: args.check_removable("--weight", flags.weight.as_deref(), weight),
            requires_shipping: flags.requires_shipping,
            ..VariantChanges::default()
        };
        args.finish(id.map(|id| (id, changes)))
    }
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
        format!("{} ({})", escape(&shown.product.name), variant.id),
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
