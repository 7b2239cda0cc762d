//! `shop admin category …`.

use std::sync::Arc;

use clap::Subcommand;

use crate::{
    app::App,
    cli::{output::Output, write::write},
    core::error::{Error, Kind, Result},
    domain::catalog::{self, CategoryName},
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Category {
    /// Create a category
    Add {
        /// 1 to 200 characters
        name: String,
    },
    /// List all categories
    List,
    /// Rename a category; its slug does not change
    Rename {
        /// Name, slug or id of the category
        category: String,
        /// New name, 1 to 200 characters
        name: String,
    },
    /// Delete an empty category
    Delete {
        /// Name, slug or id of the category
        category: String,
    },
}

impl Category {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Category::Add { name } => {
                let name = parse_name(name)?;
                let created = write(app, "catalog.add_category", move |tx| {
                    catalog::add_category(tx, &name)
                })
                .await?;
                let summary = format!("created {} ({})", created.name, created.slug);
                output.value(&created, &summary)
            }
            Category::List => {
                let categories = app
                    .db
                    .read("catalog.categories", catalog::categories)
                    .await?;
                output.table(&["name", "slug", "products"], &categories, |category| {
                    vec![
                        category.name.clone(),
                        category.slug.clone(),
                        category.product_count.to_string(),
                    ]
                })
            }
            Category::Rename { category, name } => {
                let name = parse_name(name)?;
                let rename = move |tx: &mut Tx<'_>| {
                    let found = find(tx, &category)?;
                    let renamed = catalog::rename_category(tx, found.id, &name)?;
                    Ok((found.name, renamed))
                };
                let (before, renamed) = write(app, "catalog.rename_category", rename).await?;
                output.value(&renamed, &format!("renamed {before} to {}", renamed.name))
            }
            Category::Delete { category } => {
                let delete = move |tx: &mut Tx<'_>| {
                    let found = find(tx, &category)?;
                    catalog::delete_category(tx, found.id)?;
                    Ok(found)
                };
                let deleted = write(app, "catalog.delete_category", delete).await?;
                output.value(&deleted, &format!("deleted {}", deleted.name))
            }
        }
    }
}

fn parse_name(name: String) -> Result<CategoryName> {
    CategoryName::try_from(name).map_err(|error| Error::field("NAME", "invalid", error))
}

/// Finds a category by name, slug or id. Renaming keeps the slug, so the slug of one category can be the name of
/// another.
///
/// Errors: `NotFound` if there is none, or more than one.
fn find(tx: &mut Tx<'_>, text: &str) -> Result<catalog::Category> {
    let key = catalog::normalize(text.trim());
    let mut found = catalog::categories(tx)?;
    found.retain(|category| {
        category.slug == text
            || catalog::normalize(&category.name) == key
            || category.id.to_string() == text
    });
    match found.len() {
        0 => Err(Error::not_found("category")),
        1 => Ok(found.remove(0)),
        _ => {
            let candidates = found
                .iter()
                .map(|found| format!("{} ({})", found.name, found.id));
            let candidates = candidates.collect::<Vec<_>>().join(", ");
            let detail = format!("`{text}` is ambiguous: {candidates}; use the id");
            Err(Error::new(Kind::NotFound, detail))
        }
    }
}
