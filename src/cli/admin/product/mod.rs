//! `shop admin product …`.

mod args;
mod export;
mod import;
mod options;
mod variant;

use std::{fs::File, path::PathBuf, sync::Arc};

pub(super) use self::args::product_id;

use clap::Subcommand;

use self::{
    args::{Add, CategoryChange, Edit, parse_id, parse_stock_change},
    options::Options,
    variant::Variant,
};
use crate::{
    app::App,
    cli::{
        output::{Output, escape, format_amount},
        write::write,
    },
    core::{
        error::{Error, Field, Kind, Result},
        id::CategoryId,
        pagination::{CursorRequest, ListRequest, PageLimit},
    },
    domain::{
        catalog::{self, CategoryName, Filters, ListOutcome, ProductWithVariants},
        media::{self, ImageUpload, MAX_UPLOAD_SIZE, UploadedImage},
    },
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Product {
    /// Create a product
    Add(Add),
    /// List all products, newest first
    List,
    /// Show a product
    Show {
        /// Id of the product
        id: String,
    },
    /// Update a product; fields that are not given do not change
    ///
    /// To change the stock, use `shop admin product stock`.
    Edit(Edit),
    /// Delete a product; it is removed from carts, but stays in past orders
    Delete {
        /// Id of the product
        id: String,
    },
    /// Import products from a CSV file: all rows, or none if any row is invalid
    ///
    /// The file is UTF-8, with commas or semicolons as separators. The first row names the columns, in any
    /// order: `id`, `name`, `description`, `price`, `stockQuantity`, `stockAtExport`, `category`, `images`,
    /// `variantId`, `sku`, `barcode`, `option1`, `value1`, `option2`, `value2`, `option3`, `value3`, `compareAtPrice`,
    /// `weightGrams`. Missing columns change nothing. An empty cell clears a
    /// `description`, a `category`, a `sku`, a `barcode`, a `compareAtPrice` or a `weightGrams`; other empty cells change
    /// nothing.
    ///
    /// A row with the id of an existing product updates it. A row without an id, or with an unknown one, creates
    /// a product and needs a name and a price. Categories that do not exist are created. Prices are in the
    /// currency's minor unit. Images are not imported: existing products keep theirs.
    ///
    /// Rows with the same id are the variants of one product; `variantId` or the options say which. Rows without an id
    /// that follow each other are one product if they have options and the same name, or no name after the first.
    ///
    /// If there is a column `stockAtExport`, as in exported files, the difference between `stockQuantity` and
    /// `stockAtExport` is added to the stock, so that sales since the export count. A file with the same
    /// differences is refused for 30 days unless `--again` is given. Without that column, the stock is set to
    /// `stockQuantity`.
    Import {
        /// CSV file, or `-` for standard input
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
        /// Apply stock differences that have been imported before
        #[arg(long)]
        again: bool,
    },
    /// Export all products to a CSV file that can be imported
    Export {
        /// CSV file [default: standard output]
        #[arg(value_name = "FILE.csv")]
        file: Option<PathBuf>,
    },
    /// Change the stock of a product
    Stock {
        /// Id of the product
        id: String,
        /// Quantity to add, or to remove if negative
        #[arg(allow_negative_numbers = true)]
        delta: i64,
        /// Reason for the change; it is stored
        #[arg(long)]
        reason: String,
    },
    /// Set the options of a product, such as its sizes; without any, show them
    Options(Options),
    /// Create, show, update and delete variants
    #[command(subcommand)]
    Variant(Variant),
}

impl Product {
    /// Whether the command uploads images.
    pub(in crate::cli) fn has_images(&self) -> bool {
        match self {
            Product::Add(new) => !new.images().is_empty(),
            Product::Edit(edit) => !edit.images().is_empty(),
            _ => false,
        }
    }

    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Product::Add(new) => {
                let created = create(app, &new).await?;
                let summary = format!("created {} ({})", created.product.name, created.product.id);
                output.value(&created, &summary)
            }
            Product::List => list(app, output).await,
            Product::Show { id } => {
                let id = parse_id(&id)?;
                let find = move |tx: &mut Tx<'_>| {
                    let product = catalog::product(tx, id)?;
                    catalog::with_variants(tx, product)
                };
                let shown = app.db.read("catalog.product", find).await?;
                output.value(&shown, &details(app, &shown.product))
            }
            Product::Edit(edit) => {
                let updated = update(app, &edit).await?;
                let summary = format!("updated {} ({})", updated.product.name, updated.product.id);
                output.value(&updated, &summary)
            }
            Product::Delete { id } => {
                let id = parse_id(&id)?;
                let delete = move |tx: &mut Tx<'_>| {
                    let product = catalog::product_for_update(tx, id)?;
                    catalog::delete(tx, id)?;
                    Ok(product)
                };
                let product = write(app, "catalog.delete", delete).await?;
                let summary = format!("deleted {} ({})", product.name, product.id);
                output.value(&product, &summary)
            }
            Product::Import { file, again } => import::run(app, output, &file, again).await,
            Product::Export { file } => export::run(app, output, file).await,
            Product::Options(options) => options.run(app, output).await,
            Product::Variant(command) => command.run(app, output).await,
            Product::Stock { id, delta, reason } => {
                let (id, delta, reason) = parse_stock_change(&id, delta, &reason)?;
                let changed = write(app, "catalog.change_stock", move |tx| {
                    let product = catalog::change_stock(tx, id, delta, reason.as_str())?;
                    catalog::with_variants(tx, product)
                })
                .await?;
                let product = &changed.product;
                let summary = format!("stock of {}: {}", product.name, product.stock_quantity);
                output.value(&changed, &summary)
            }
        }
    }
}

async fn create(app: &Arc<App>, new: &Add) -> Result<ProductWithVariants> {
    let not_found = check_references(app, new.category(), new.images()).await?;
    let (product, category) = new.parse(app.settings().currency, not_found)?;
    let images = upload(app, new.images()).await?;
    write_with_images(app, "catalog.create", images, move |tx, images| {
        let mut product = product.clone();
        let category = category.as_ref().map(|name| find_category(tx, name));
        product.category = category.transpose()?;
        let created = catalog::create(tx, &product, images)?;
        catalog::with_variants(tx, created)
    })
    .await
}

async fn update(app: &Arc<App>, edit: &Edit) -> Result<ProductWithVariants> {
    let not_found = check_references(app, edit.category(), edit.images()).await?;
    let (id, changes, category) = edit.parse(app.settings().currency, not_found)?;
    let images = upload(app, edit.images()).await?;
    write_with_images(app, "catalog.update", images, move |tx, images| {
        let mut changes = changes.clone();
        changes.category = match &category {
            CategoryChange::Keep => None,
            CategoryChange::Clear => Some(None),
            CategoryChange::Set(name) => Some(Some(find_category(tx, name)?)),
        };
        let current = catalog::product_for_update(tx, id)?;
        let updated = catalog::update(tx, &current, &changes, images)?;
        catalog::with_variants(tx, updated)
    })
    .await
}

/// Returns the errors of a category that does not exist and of files that cannot be read.
async fn check_references(
    app: &App,
    category: Option<&str>,
    images: &[PathBuf],
) -> Result<Vec<Field>> {
    let mut errors = Vec::new();
    if let Some(Ok(name)) = category.map(|name| CategoryName::try_from(name.to_owned())) {
        let find = move |tx: &mut Tx<'_>| match find_category(tx, &name) {
            Err(error) if error.kind() == Kind::NotFound => Ok(Some(error)),
            found => found.map(|_| None),
        };
        let missing = app.db.read("catalog.category", find).await?;
        errors.extend(missing.map(|it| Field::new("--category", "not-found", it.detail())));
    }
    for path in images {
        if let Err(error) = File::open(path) {
            let message = format!("cannot read `{}`: {error}", path.display());
            errors.push(Field::new("--image", "not-found", message));
        }
    }
    Ok(errors)
}

/// Runs a write that attaches uploaded images. Deletes the images from the store if it fails.
async fn write_with_images<F>(
    app: &Arc<App>,
    name: &'static str,
    images: Vec<UploadedImage>,
    mut work: F,
) -> Result<ProductWithVariants>
where
    F: FnMut(&mut Tx<'_>, &[UploadedImage]) -> Result<ProductWithVariants> + Send + 'static,
{
    let attached = images.clone();
    let result = write(app, name, move |tx| work(tx, &attached)).await;
    if result.is_err() {
        media::delete_uploaded(app, &images).await;
    }
    result
}

fn find_category(tx: &mut Tx<'_>, name: &CategoryName) -> Result<CategoryId> {
    match catalog::category_by_name(tx, name)? {
        Some(found) => Ok(found.id),
        None => Err(Error::new(
            Kind::NotFound,
            format!(
                "category `{}` not found; create it with `shop admin category add`",
                name.as_str()
            ),
        )),
    }
}

/// Decodes image files and puts them into the image store.
async fn upload(app: &Arc<App>, files: &[PathBuf]) -> Result<Vec<UploadedImage>> {
    if files.len() > media::MAX_IMAGES_PER_PRODUCT {
        let message = format!("at most {}", media::MAX_IMAGES_PER_PRODUCT);
        return Err(Error::field("--image", "too-many", message));
    }
    let mut drafts = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) = opened
            .map_err(|error| Error::command_failed(format!("cannot read `{name}`: {error}")))?;
        if size > MAX_UPLOAD_SIZE as u64 {
            let message = format!("`{name}` is larger than {MAX_UPLOAD_SIZE} bytes");
            return Err(Error::field("--image", "too-large", message));
        }
        drafts.push(ImageUpload { field: name, file });
    }
    media::store_images(app, drafts).await
}

async fn list(app: &Arc<App>, output: Output) -> Result<()> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let request = ListRequest::Cursor(CursorRequest {
            after,
            limit: PageLimit::MAX,
            scope: String::new(),
        });
        let (products, end) = app
            .db
            .long_read("catalog.list", move |tx| {
                let mut products = Vec::new();
                let end = catalog::list(tx, &Filters::default(), &request, |product| {
                    products.push(product.into_owned());
                    Ok(())
                })?;
                Ok((products, end))
            })
            .await?;
        all.extend(products);
        after = match end {
            ListOutcome::Cursor(Some(position)) => Some(position),
            ListOutcome::Cursor(None) | ListOutcome::Page(_) => break,
        };
    }
    let headings = ["id", "name", "price", "stock", "category"];
    output.table(&headings, &all, |product| {
        vec![
            product.id.to_string(),
            product.name.to_string(),
            format_amount(app, product.price),
            product.stock_quantity.to_string(),
            category_name(product).to_owned(),
        ]
    })
}

fn details(app: &App, product: &catalog::Product<'_>) -> String {
    let mut lines = vec![
        format!("{} ({})", escape(&product.name), product.id),
        format!("price: {}", format_amount(app, product.price)),
        format!("stock: {}", product.stock_quantity),
        format!("category: {}", escape(category_name(product))),
        format!("created: {}", product.created_at),
        format!("updated: {}", product.updated_at),
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

fn category_name<'a>(product: &'a catalog::Product<'_>) -> &'a str {
    product
        .category
        .as_ref()
        .map_or("", |category| &category.name)
}
