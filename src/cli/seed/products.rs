//! Sample categories and products.

use std::{sync::Arc, time::Duration};

use super::{
    categories::CATEGORIES,
    placeholder_image,
    random::{index, pick},
    vocabulary::{ADJECTIVES, BRANDS, NOTES, SELLING_POINTS},
};
use crate::{
    app::App,
    cli::progress,
    core::{
        clock::Clock,
        error::{Error, Result},
        id::{CategoryId, ProductId},
        money::{Price, Stock},
        rng::Rng,
    },
    domain::{
        catalog::{
            self, CategoryName, Changes, Description, NewOption, NewProduct,
            NewProductWithVariants, NewValue, NewVariant, ProductName,
        },
        media::{ImageUpload, UPLOAD_TIMEOUT, delete_uploaded, store_images_until},
    },
    infra::db::Tx,
};

/// Number of products that one transaction inserts.
const BATCH_SIZE: u64 = 10_000;

/// Number of products with images. They are few, since each image is a file and takes time.
const WITH_IMAGES: u64 = 12;

/// One of so many products with images has options.
const WITH_OPTIONS: u64 = 4;

const COLOURS: [&str; 2] = ["Indigo", "Terracotta"];
const SIZES: [&str; 3] = ["S", "M", "L"];

/// Creates `count` products, and the categories that do not exist. Returns the ids in the order of creation.
pub(super) async fn create_products(app: &Arc<App>, count: u64) -> Result<Vec<ProductId>> {
    let categories = app.db.write("seed.categories", create_categories).await?;
    let bar = progress::bar(count, "products");
    let mut created = Vec::new();
    for number in 0..count.min(WITH_IMAGES) {
        let has_options = number % WITH_OPTIONS == 0;
        created.push(create_with_images(app, &categories, has_options).await?);
        app.clock.advance(Duration::from_secs(1));
        bar.inc(1);
    }
    let mut remaining = count.saturating_sub(WITH_IMAGES);
    while remaining > 0 {
        let size = remaining.min(BATCH_SIZE);
        let batch: Vec<NewProduct> = (0..size)
            .map(|_| random_product(&app.rng, &categories))
            .collect::<Result<_>>()?;
        app.clock.advance(Duration::from_secs(size));
        let ids = app
            .db
            .write("seed.products", move |tx| catalog::create_all(tx, &batch))
            .await?;
        created.extend(ids);
        remaining -= size;
        bar.inc(size);
    }
    app.db
        .write("seed.merge_search_index", catalog::merge_search_index)
        .await?;
    bar.finish_and_clear();
    Ok(created)
}

fn create_categories(tx: &mut Tx<'_>) -> Result<Vec<CategoryId>> {
    CATEGORIES
        .iter()
        .map(|category| {
            let name = CategoryName::try_from(category.name.to_owned()).map_err(Error::internal)?;
            match catalog::category_by_name(tx, &name)? {
                Some(existing) => Ok(existing.id),
                None => Ok(catalog::add_category(tx, &name)?.id),
            }
        })
        .collect()
}

async fn create_with_images(
    app: &Arc<App>,
    categories: &[CategoryId],
    has_options: bool,
) -> Result<ProductId> {
    let product = random_product(&app.rng, categories)?;
    let mut drafts = Vec::new();
    for number in 0..=index(&app.rng, 2) {
        drafts.push(ImageUpload {
            field: format!("images[{number}]"),
            file: placeholder_image::generate(&app.rng, &app.config.data_dir)?,
        });
    }
    // The clock of the sample data is behind that of a running server, which would delete the images at once.
    let delete_at = Clock::system().now().plus(UPLOAD_TIMEOUT);
    let images = store_images_until(app, drafts, delete_at).await?;
    let attached = images.clone();
    let created = app
        .db
        .write("seed.product", move |tx| {
            if !has_options {
                return catalog::create(tx, &product, &attached);
            }
            let created = catalog::create_with_variants(tx, &with_options(&product, tx.rng())?)?;
            catalog::update(tx, &created.product, &Changes::default(), &attached)
        })
        .await;
    if created.is_err() {
        delete_uploaded(app, &images).await;
    }
    Ok(created?.id)
}

fn random_product(rng: &Rng, categories: &[CategoryId]) -> Result<NewProduct> {
    let at = index(rng, CATEGORIES.len());
    let category = &CATEGORIES[at];
    let (noun, material) = (pick(rng, category.nouns), pick(rng, category.materials));
    let (brand, adjective) = (pick(rng, BRANDS), pick(rng, ADJECTIVES));
    let variant = pick(rng, category.variants);
    let name = format!("{brand} {adjective} {material} {noun}, {variant}");
    let description = format!(
        "{adjective} {} from {brand}, {}. {} {}",
        noun.to_lowercase(),
        material.to_lowercase(),
        pick(rng, SELLING_POINTS),
        pick(rng, NOTES)
    );
    Ok(NewProduct {
        name: ProductName::try_from(name).map_err(Error::internal)?,
        description: Description::try_from(description).map_err(Error::internal)?,
        price: random_price(rng, category.price_range)?,
        stock: random_stock(rng)?,
        category: categories.get(at).copied(),
    })
}

/// Returns a product in several colours and sizes, each with a SKU and a stock of its own. Some cost more.
fn with_options(product: &NewProduct, rng: &Rng) -> Result<NewProductWithVariants> {
    let style = rng.below(100_000_000);
    let mut variants = Vec::new();
    for colour in COLOURS {
        for size in SIZES {
            let sku = format!("{style:08}-{}-{size}", colour[..3].to_uppercase());
            let surcharge = if size == "L" { 10_000 } else { 0 };
            let options = [("Colour", colour), ("Size", size)];
            variants.push(NewVariant {
                sku: Some(sku.try_into().map_err(Error::internal)?),
                stock: random_stock(rng)?,
                options: options
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                ..NewVariant::at(
                    Price::try_from(product.price.get() + surcharge).map_err(Error::internal)?,
                )
            });
        }
    }
    Ok(NewProductWithVariants {
        name: product.name.clone(),
        description: product.description.clone(),
        category: product.category,
        options: vec![new_option("Colour", &COLOURS)?, new_option("Size", &SIZES)?],
        variants,
    })
}

/// Returns an option with these values.
pub(super) fn new_option(name: &str, values: &[&str]) -> Result<NewOption> {
    let value = |text: &&str| {
        let value = (*text).to_owned().try_into().map_err(Error::internal)?;
        Ok(NewValue { id: None, value })
    };
    Ok(NewOption {
        id: None,
        name: name.to_owned().try_into().map_err(Error::internal)?,
        values: values.iter().map(value).collect::<Result<_>>()?,
    })
}

/// Low prices are more likely than high ones. Each ends in 9, e.g. 499.00.
fn random_price(rng: &Rng, (min, max): (u32, u32)) -> Result<Price> {
    let random = || i64::try_from(rng.below(1000)).unwrap_or_default();
    let (min, max) = (i64::from(min), i64::from(max));
    let major = min + (max - min) * random() * random() / 1_000_000;
    Price::try_from((major / 10 * 10 + 9) * 100).map_err(Error::internal)
}

/// One of twenty products is sold out.
fn random_stock(rng: &Rng) -> Result<Stock> {
    let stock = match rng.below(20) {
        0 => 0,
        _ => i64::try_from(rng.below(200)).unwrap_or_default() + 1,
    };
    Stock::try_from(stock).map_err(Error::internal)
}
