//! `shop admin product …`.

use std::{fs::File, path::PathBuf, sync::Arc};

use clap::Subcommand;

use super::sheet;
use crate::{
    catalog::{self, CategoryName, Delta, Description, Filters, NewProduct, Reached, Reason},
    cli::output::{Output, amount},
    error::{Error, Kind, Result},
    id::ProductId,
    media::{self, Draft, IMAGE_LIMIT, Stored},
    money::{Price, Stock},
    page::{PageLimit, Part, Walk},
    web::App,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Product {
    /// Put a product into the catalog
    Add {
        #[arg(long)]
        name: String,
        /// In the currency's minor unit: 49900 is 499.00
        #[arg(long)]
        price: i64,
        #[arg(long)]
        stock: i64,
        /// The name of a category
        #[arg(long)]
        category: Option<String>,
        #[arg(long, default_value = "")]
        description: String,
        /// A picture: JPEG, PNG, WebP or GIF; may be given up to 8 times
        #[arg(long, value_name = "FILE")]
        image: Vec<PathBuf>,
    },
    /// List all products, the newest first
    List,
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
    /// Write all products into such a sheet
    Export {
        /// Standard output, if it is left out
        #[arg(value_name = "FILE.csv")]
        file: Option<PathBuf>,
    },
    /// Change a product's stock
    Stock {
        id: String,
        /// How many more, or with `-` how many fewer
        #[arg(allow_negative_numbers = true)]
        delta: i64,
        #[arg(long)]
        reason: String,
    },
}

impl Product {
    /// Whether the command puts pictures into their store.
    pub(in crate::cli) fn handles_pictures(&self) -> bool {
        matches!(self, Product::Add { image, .. } if !image.is_empty())
    }

    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Product::Add {
                name,
                price,
                stock,
                category,
                description,
                image,
            } => {
                let new = NewProduct {
                    name: parse("--name", name)?,
                    description: parse::<_, Description>("--description", description)?,
                    price: parse::<_, Price>("--price", price)?,
                    stock: parse::<_, Stock>("--stock", stock)?,
                    category: None,
                };
                let category = category
                    .map(|name| parse::<_, CategoryName>("--category", name))
                    .transpose()?;
                let images = keep(app, &image).await?;
                let product = add(app, new, category, images).await?;
                output.one(&product, &format!("made {} ({})", product.name, product.id))
            }
            Product::List => list(app, output).await,
            Product::Import { file, again } => sheet::import(app, output, &file, again).await,
            Product::Export { file } => sheet::export(app, output, file).await,
            Product::Stock { id, delta, reason } => {
                let id: ProductId = id
                    .parse()
                    .map_err(|_| Error::field("ID", "invalid", "must be a product's id"))?;
                let delta = parse::<_, Delta>("DELTA", delta)?;
                let reason = parse::<_, Reason>("--reason", reason)?;
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

fn parse<V, T: TryFrom<V>>(field: &str, value: V) -> Result<T>
where
    T::Error: std::fmt::Display,
{
    T::try_from(value).map_err(|error| Error::field(field, "invalid", error.to_string()))
}

async fn add(
    app: &Arc<App>,
    mut new: NewProduct,
    category: Option<CategoryName>,
    images: Vec<Stored>,
) -> Result<catalog::Product<'static>> {
    let (shop, attached) = (Arc::clone(app), images.clone());
    let made = app
        .db
        .write("catalog.create", move |tx| {
            if let Some(name) = &category {
                let found = catalog::category_by_name(tx, name)?.ok_or_else(|| {
                    let detail = format!(
                        "category `{}` not found; `shop admin category add` makes one",
                        name.as_str()
                    );
                    Error::new(Kind::NotFound, detail)
                })?;
                new.category = Some(found.id);
            }
            catalog::create(tx, &shop, &new, &attached)
        })
        .await;
    if made.is_err() {
        media::worker::discard(app, &images).await;
    }
    made
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
        let part = Part::Walk(Walk {
            after,
            limit: PageLimit::MOST,
            scope: String::new(),
        });
        let (stretch, listed) = app
            .db
            .scan("catalog.list", move |tx| {
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
            Reached::Walk(Some(place)) => Some(place),
            Reached::Walk(None) | Reached::Page(_) => break,
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
                product
                    .category
                    .as_ref()
                    .map(|c| c.name.to_string())
                    .unwrap_or_default(),
            ]
        },
    )
}
