//! `shop admin product …`.

mod arguments;

use std::{fs::File, path::PathBuf, sync::Arc};

use clap::Subcommand;

use self::arguments::{Add, Edit, NewCategory, find_id, parse_movement};
use super::sheet;
use crate::{
    app::App,
    cli::output::{Output, amount, escape},
    core::{
        error::{Error, Kind, Result},
        id::CategoryId,
        money::Currency,
        pagination::{CursorRequest, ListRequest, PageLimit},
    },
    domain::{
        catalog::{self, CategoryName, Filters, Reached},
        media::{self, Draft, IMAGE_LIMIT, Stored},
    },
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Product {
    /// Add a product to the catalog
    Add(Add),
    /// List all products, the newest first
    List,
    /// Show a product
    Show {
        /// The product's id
        id: String,
    },
    /// Change what is given of a product, and leave the rest as it is
    ///
    /// Stock changes by `shop admin product stock`.
    Edit(Edit),
    /// Delete a product from the catalog and from carts; past orders keep it
    Delete {
        /// The product's id
        id: String,
    },
    /// Import a sheet of products, all of it or nothing: CSV in UTF-8, separated by commas or semicolons
    ///
    /// The first line names the columns, in any order: `id`, `name`, `description`, `price`,
    /// `stockQuantity`, `stockAtExport`, `category`, `images`. A column that is left out changes nothing,
    /// nor does an empty cell, but for a description or a category, which it removes.
    ///
    /// A line without an id makes a product, one with a known id changes that product, one with an
    /// unknown id makes a product under it; a new product needs a name and a price. A category that is
    /// missing is made; prices are in the currency's minor unit. A known product keeps its pictures; a new
    /// one has none.
    ///
    /// An export writes `stockAtExport`. With it, stock changes by the difference between `stockQuantity`
    /// and `stockAtExport`, so that what was sold since the export stays sold. The same differences are
    /// refused a second time for 30 days. Without that column stock is set, whatever was sold.
    Import {
        /// `-` reads standard input
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
        /// Apply differences of stock that were imported before once more
        #[arg(long)]
        again: bool,
    },
    /// Export all products as such a sheet
    Export {
        /// Standard output, if it is left out
        #[arg(value_name = "FILE.csv")]
        file: Option<PathBuf>,
    },
    /// Change a product's stock
    Stock {
        /// The product's id
        id: String,
        /// How many more, or with `-` how many fewer
        #[arg(allow_negative_numbers = true)]
        delta: i64,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
}

impl Product {
    /// Whether the command puts pictures into their store.
    pub(in crate::cli) fn handles_pictures(&self) -> bool {
        match self {
            Product::Add(new) => !new.image.is_empty(),
            Product::Edit(edit) => !edit.images().is_empty(),
            _ => false,
        }
    }

    /// Errors if a value is wrong in itself, whether or not there is a shop.
    pub(in crate::cli) fn check(&self, currency: Currency) -> Result<()> {
        match self {
            Product::Add(new) => new.parse(currency).map(drop),
            Product::Edit(edit) => edit.parse(currency).map(drop),
            Product::Show { id } | Product::Delete { id } => find_id(id).map(drop),
            Product::Stock { id, delta, reason } => parse_movement(id, *delta, reason).map(drop),
            Product::List | Product::Import { .. } | Product::Export { .. } => Ok(()),
        }
    }

    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Product::Add(new) => {
                let product = add(app, &new).await?;
                output.one(&product, &format!("made {} ({})", product.name, product.id))
            }
            Product::List => list(app, output).await,
            Product::Show { id } => {
                let (id, shop) = (find_id(&id)?, Arc::clone(app));
                let find = move |tx: &mut Tx<'_>| catalog::product(tx, &shop, id);
                let product = app.db.read("catalog.product", find).await?;
                output.one(&product, &in_full(app, &product))
            }
            Product::Edit(edit) => {
                let product = change(app, &edit).await?;
                output.one(
                    &product,
                    &format!("changed {} ({})", product.name, product.id),
                )
            }
            Product::Delete { id } => {
                let (id, shop) = (find_id(&id)?, Arc::clone(app));
                let delete = move |tx: &mut Tx<'_>| {
                    let product = catalog::product_to_change(tx, &shop, id)?;
                    catalog::delete(tx, &shop, id)?;
                    Ok(product)
                };
                let product = app.db.write("catalog.delete", delete).await?;
                output.one(
                    &product,
                    &format!("deleted {} ({})", product.name, product.id),
                )
            }
            Product::Import { file, again } => sheet::import(app, output, &file, again).await,
            Product::Export { file } => sheet::export(app, output, file).await,
            Product::Stock { id, delta, reason } => {
                let (id, delta, reason) = parse_movement(&id, delta, &reason)?;
                let shop = Arc::clone(app);
                let product = app
                    .db
                    .write("catalog.change_stock", move |tx| {
                        catalog::change_stock(tx, &shop, id, delta, reason.as_str())
                    })
                    .await?;
                let words = format!("{} has {} now", product.name, product.stock_quantity);
                output.one(&product, &words)
            }
        }
    }
}

async fn add(app: &Arc<App>, new: &Add) -> Result<catalog::Product<'static>> {
    let (product, category) = new.parse(app.config.currency)?;
    let images = keep(app, &new.image).await?;
    let shop = Arc::clone(app);
    write(app, "catalog.create", images, move |tx, images| {
        let mut product = product.clone();
        let category = category.as_ref().map(|name| find_category(tx, name));
        product.category = category.transpose()?;
        catalog::create(tx, &shop, &product, images)
    })
    .await
}

async fn change(app: &Arc<App>, edit: &Edit) -> Result<catalog::Product<'static>> {
    let (id, changes, category) = edit.parse(app.config.currency)?;
    let images = keep(app, edit.images()).await?;
    let shop = Arc::clone(app);
    write(app, "catalog.update", images, move |tx, images| {
        let mut changes = changes.clone();
        changes.category = match &category {
            NewCategory::Same => None,
            NewCategory::None => Some(None),
            NewCategory::Named(name) => Some(Some(find_category(tx, name)?)),
        };
        let current = catalog::product_to_change(tx, &shop, id)?;
        catalog::update(tx, &shop, &current, &changes, images)
    })
    .await
}

/// Runs a write that pictures belong to; if it fails, they leave the store again.
async fn write<F>(
    app: &Arc<App>,
    name: &'static str,
    images: Vec<Stored>,
    mut work: F,
) -> Result<catalog::Product<'static>>
where
    F: FnMut(&mut Tx<'_>, &[Stored]) -> Result<catalog::Product<'static>> + Send + 'static,
{
    let attached = images.clone();
    let done = app.db.write(name, move |tx| work(tx, &attached)).await;
    if done.is_err() {
        media::worker::discard(app, &images).await;
    }
    done
}

fn find_category(tx: &mut Tx<'_>, name: &CategoryName) -> Result<CategoryId> {
    match catalog::category_by_name(tx, name)? {
        Some(found) => Ok(found.id),
        None => Err(Error::new(
            Kind::NotFound,
            format!(
                "category `{}` not found; `shop admin category add` makes one",
                name.as_str()
            ),
        )),
    }
}

async fn keep(app: &Arc<App>, files: &[PathBuf]) -> Result<Vec<Stored>> {
    if files.len() > media::MOST_IMAGES {
        let message = format!("at most {}", media::MOST_IMAGES);
        return Err(Error::field("--image", "too-many", message));
    }
    let mut drafts = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) =
            opened.map_err(|e| Error::unavailable(format!("cannot read `{name}`: {e}")))?;
        if size > IMAGE_LIMIT as u64 {
            let message = format!("`{name}` is larger than {IMAGE_LIMIT} bytes");
            return Err(Error::field("--image", "too-large", message));
        }
        drafts.push(Draft { field: name, file });
    }
    media::worker::keep(app, drafts).await
}

async fn list(app: &Arc<App>, output: Output) -> Result<()> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let shop = Arc::clone(app);
        let part = ListRequest::CursorRequest(CursorRequest {
            after,
            limit: PageLimit::MOST,
            scope: String::new(),
        });
        let (stretch, listed) = app
            .db
            .long_read("catalog.list", move |tx| {
                let mut stretch = Vec::new();
                let listed = catalog::list(tx, &shop, &Filters::default(), &part, |product| {
                    stretch.push(product.into_owned());
                    Ok(())
                })?;
                Ok((stretch, listed))
            })
            .await?;
        all.extend(stretch);
        after = match listed {
            Reached::CursorRequest(Some(place)) => Some(place),
            Reached::CursorRequest(None) | Reached::Page(_) => break,
        };
    }
    output.table(
        &["id", "name", "price", "stock", "category"],
        &all,
        |product| {
            vec![
                product.id.to_string(),
                product.name.to_string(),
                amount(app, product.price),
                product.stock_quantity.to_string(),
                category(product).to_owned(),
            ]
        },
    )
}

fn in_full(app: &App, product: &catalog::Product<'_>) -> String {
    let mut lines = vec![
        format!("{} ({})", escape(&product.name), product.id),
        format!("price: {}", amount(app, product.price)),
        format!("stock: {}", product.stock_quantity),
        format!("category: {}", escape(category(product))),
        format!("created: {}", product.created_at),
        format!("changed: {}", product.updated_at),
    ];
    lines.extend(
        product
            .images
            .iter()
            .map(|image| format!("image: {}", image.url)),
    );
    if !product.description.is_empty() {
        lines.extend([String::new(), product.description.to_string()]);
    }
    lines.join("\n")
}

fn category<'a>(product: &'a catalog::Product<'_>) -> &'a str {
    product
        .category
        .as_ref()
        .map_or("", |category| &category.name)
}
