//! `shop admin category …`.

use std::sync::Arc;

use clap::Subcommand;

use crate::{
    catalog::{self, CategoryName},
    cli::output::Output,
    error::{Error, Result},
    web::App,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Category {
    /// Make a category
    Add { name: String },
    /// List all categories
    List,
}

impl Category {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Category::Add { name } => {
                let name =
                    CategoryName::try_from(name).map_err(|e| Error::field("NAME", "invalid", e))?;
                let made = app
                    .db
                    .write("catalog.add_category", move |tx| {
                        catalog::add_category(tx, &name)
                    })
                    .await?;
                output.one(&made, &format!("made {} ({})", made.name, made.slug))
            }
            Category::List => {
                let all = app
                    .db
                    .read("catalog.categories", catalog::categories)
                    .await?;
                output.table(&["name", "slug", "products"], &all, |category| {
                    vec![
                        category.name.clone(),
                        category.slug.clone(),
                        category.product_count.to_string(),
                    ]
                })
            }
        }
    }
}
