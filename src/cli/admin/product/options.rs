//! `shop admin product options …`.

use std::sync::Arc;

use clap::Args;

use super::{args::parse_id, variant::pair};
use crate::{
    app::App,
    cli::{
        admin::validator::Validator,
        output::{Output, escape},
        write::write,
    },
    core::error::Result,
    domain::catalog::{
        self, NewOption, NewValue, OptionName, OptionText, ProductWithVariants, Selection,
    },
    infra::db::Tx,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Id of the product
    id: String,
    /// An option with its values, e.g. `Size=S,M,L`; send the whole list
    ///
    /// Options and values that the product has already keep their variants. One that a variant has cannot be left out.
    #[arg(long = "option", value_name = "NAME=VALUES", value_parser = pair)]
    list: Vec<(String, String)>,
    /// The value of the existing variants for a new option, e.g. `Size=M`
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, requires = "list")]
    assign: Vec<(String, String)>,
}

impl Options {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        let id = parse_id(&self.id)?;
        let find = move |tx: &mut Tx<'_>| {
            let current = catalog::product_for_update(tx, id)?;
            catalog::with_variants(tx, current)
        };
        let product = if self.list.is_empty() {
            app.db.read("catalog.product", find).await?
        } else {
            let (options, assign) = self.parse()?;
            write(app, "catalog.set_options", move |tx| {
                let current = find(tx)?;
                catalog::set_options(tx, &current, &options, &assign)
            })
            .await?
        };
        output.value(&product, &summary(&product))
    }

    /// Errors: `Invalid` with every wrong argument.
    fn parse(self) -> Result<(Vec<NewOption>, Selection)> {
        let mut args = Validator::default();
        let options = self.list.into_iter().map(|(name, values)| {
            let name = args.check("--option", OptionName::try_from(name));
            let values: Option<Vec<NewValue>> = values
                .split(',')
                .map(|value| args.check("--option", OptionText::try_from(value.to_owned())))
                .map(|value| {
                    Some(NewValue {
                        id: None,
                        value: value?,
                    })
                })
                .collect();
            Some(NewOption {
                id: None,
                name: name?,
                values: values?,
            })
        });
        let options: Option<Vec<NewOption>> = options.collect();
        args.finish(options.map(|options| (options, self.assign.into_iter().collect())))
    }
}

fn summary(product: &ProductWithVariants) -> String {
    let mut lines = vec![escape(&product.product.name).to_string()];
    for option in product.options.as_slice() {
        let values: Vec<&str> = option.values.iter().map(|it| it.value.as_str()).collect();
        let (name, values) = (escape(&option.name), values.join(", "));
        lines.push(format!("{name}: {}", escape(&values)));
    }
    if product.options.is_empty() {
        lines.push("no options".to_owned());
    }
    lines.join("\n")
}
