//! `shop admin collection …`.

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{product::product_id, validator::Validator};
use crate::{
    app::App,
    cli::{
        output::{Output, count, escape},
        write::write,
    },
    core::{
        error::{Error, Kind, Result},
        id::ProductId,
    },
    domain::catalog::{
        self, CollectionChanges, CollectionName, CollectionWithProducts, Description, NewCollection,
    },
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Collection {
    /// Create a collection
    Add(Add),
    /// List all collections
    List,
    /// Show a collection with the ids of its products in their order
    Show {
        /// Slug or id of the collection
        collection: String,
    },
    /// Update a collection; fields that are not given do not change
    Edit(Edit),
    /// Delete a collection; its products stay
    Delete {
        /// Slug or id of the collection
        collection: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// 1 to 200 characters
    name: String,
    #[arg(long, default_value = "")]
    description: String,
    /// Id of a product; repeat it for several, in their order
    #[arg(long = "product", value_name = "ID")]
    products: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Edit {
    /// Slug or id of the collection
    collection: String,
    /// 1 to 200 characters; the slug does not change
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    description: Option<String>,
    /// Id of a product; send the whole list in its order
    #[arg(long = "product", value_name = "ID")]
    products: Vec<String>,
}

impl Collection {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Collection::Add(add) => {
                let new = add.parse()?;
                let created = write(app, "catalog.create_collection", move |tx| {
                    catalog::create_collection(tx, &new)
                })
                .await?;
                output.value(&created, &format!("created {}", summary(&created)))
            }
            Collection::List => {
                let collections = app
                    .db
                    .read("catalog.collections", catalog::collections)
                    .await?;
                output.table(&["name", "slug", "products"], &collections, |collection| {
                    vec![
                        collection.name.clone(),
                        collection.slug.clone(),
                        collection.product_count.to_string(),
                    ]
                })
            }
            Collection::Show { collection } => {
                let find = move |tx: &mut Tx<'_>| find(tx, &collection);
                let found = app.db.read("catalog.collection", find).await?;
                let ids = found.product_ids.iter().map(|id| format!("\n  {id}"));
                let ids: String = ids.collect();
                output.value(&found, &format!("{}{ids}", summary(&found)))
            }
            Collection::Edit(edit) => {
                let changes = edit.parse()?;
                let update = move |tx: &mut Tx<'_>| {
                    let id = find(tx, &edit.collection)?.collection.id;
                    catalog::update_collection(tx, id, &changes)
                };
                let updated = write(app, "catalog.update_collection", update).await?;
                output.value(&updated, &format!("updated {}", summary(&updated)))
            }
            Collection::Delete { collection } => {
                let delete = move |tx: &mut Tx<'_>| {
                    let found = find(tx, &collection)?;
                    catalog::delete_collection(tx, found.collection.id)?;
                    Ok(found)
                };
                let deleted = write(app, "catalog.delete_collection", delete).await?;
                output.value(&deleted, &format!("deleted {}", summary(&deleted)))
            }
        }
    }
}

impl Add {
    /// Errors: `Invalid` with every wrong argument.
    fn parse(self) -> Result<NewCollection> {
        let mut args = Validator::default();
        let name = args.check("NAME", CollectionName::try_from(self.name));
        let description = args.check("--description", Description::try_from(self.description));
        let products = parse_products(&mut args, &self.products);
        let new = name.zip(description).zip(products);
        args.finish(new.map(|((name, description), products)| NewCollection {
            name,
            description,
            products,
        }))
    }
}

impl Edit {
    /// Errors: `Invalid` with every wrong argument.
    fn parse(&self) -> Result<CollectionChanges> {
        let mut args = Validator::default();
        let name = self.name.clone().map(CollectionName::try_from);
        let description = self.description.clone().map(Description::try_from);
        let products = parse_products(&mut args, &self.products);
        let changes = CollectionChanges {
            name: args.check_optional("--name", name),
            description: args.check_optional("--description", description),
            products: products.filter(|products| !products.is_empty()),
        };
        args.finish(Some(changes))
    }
}

fn parse_products(args: &mut Validator, ids: &[String]) -> Option<Vec<ProductId>> {
    let ids = ids.iter().map(|id| args.check("--product", product_id(id)));
    ids.collect()
}

fn find(tx: &mut Tx<'_>, text: &str) -> Result<CollectionWithProducts> {
    let id = catalog::collection_id(tx, text)?;
    let id = id.ok_or_else(|| {
        let detail =
            format!("collection `{text}` not found; list them with `shop admin collection list`");
        Error::new(Kind::NotFound, detail)
    })?;
    catalog::collection(tx, id)
}

fn summary(found: &CollectionWithProducts) -> String {
    let collection = &found.collection;
    let products = count(collection.product_count.unsigned_abs(), "product");
    format!(
        "{} ({}) with {products}",
        escape(&collection.name),
        collection.slug
    )
}
