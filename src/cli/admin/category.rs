//! `shop admin category …`.

use std::sync::Arc;

use clap::Subcommand;

use crate::{
    app::App,
    cli::output::Output,
    core::error::{Error, Kind, Result},
    domain::catalog::{self, CategoryName},
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Category {
    /// Make a category
    Add {
        /// 1 to 200 characters
        name: String,
    },
    /// List all categories
    List,
    /// Rename a category; its slug stays
    Rename {
        /// The category's name, slug or id
        category: String,
        /// 1 to 200 characters
        name: String,
    },
    /// Delete a category that no product is in
    Delete {
        /// The category's name, slug or id
        category: String,
    },
}

impl Category {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Category::Add { name } => {
                let name = parse(name)?;
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
            Category::Rename { category, name } => {
                let name = parse(name)?;
                let rename = move |tx: &mut Tx<'_>| {
                    let found = find(tx, &category)?;
                    let renamed = catalog::rename_category(tx, found.id, &name)?;
                    Ok((found.name, renamed))
                };
                let (before, renamed) = app.db.write("catalog.rename_category", rename).await?;
                output.one(&renamed, &format!("renamed {before} to {}", renamed.name))
            }
            Category::Delete { category } => {
                let delete = move |tx: &mut Tx<'_>| {
                    let found = find(tx, &category)?;
                    catalog::delete_category(tx, found.id)?;
                    Ok(found)
                };
                let deleted = app.db.write("catalog.delete_category", delete).await?;
                output.one(&deleted, &format!("deleted {}", deleted.name))
            }
        }
    }
}

fn parse(name: String) -> Result<CategoryName> {
    CategoryName::try_from(name).map_err(|why| Error::field("NAME", "invalid", why))
}

/// Returns the one category of this name, slug or id. A slug stays when its category is renamed, so another
/// category may have the name by now.
fn find(tx: &mut Tx<'_>, text: &str) -> Result<catalog::Category> {
    let key = catalog::fold(text.trim());
    let mut found = catalog::categories(tx)?;
    found.retain(|category| {
        category.slug == text
            || catalog::fold(&category.name) == key
            || category.id.to_string() == text
    });
    match found.len() {
        0 => Err(Error::not_found("category")),
        1 => Ok(found.remove(0)),
        _ => {
            let names = found
                .iter()
                .map(|found| format!("{} ({})", found.name, found.id));
            let names = names.collect::<Vec<_>>().join(", ");
            let detail = format!("`{text}` can be any of {names}; name it by its id");
            Err(Error::new(Kind::NotFound, detail))
        }
    }
}
