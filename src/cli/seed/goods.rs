//! Products that could be somebody's, by the million.

use std::{sync::Arc, time::Duration};

use super::{
    below, drawing, pick,
    words::{ADJECTIVES, CARE, KINDS, MAKERS, PRAISE},
};
use crate::{
    app::App,
    cli::output,
    core::{
        error::{Error, Result},
        id::{CategoryId, ProductId},
        money::{Price, Stock},
        rng::Rng,
    },
    domain::{
        catalog::{self, CategoryName, Description, NewProduct, ProductName},
        media::worker::{Draft, discard, keep},
    },
    infra::db::Tx,
};

/// How many products one transaction makes.
const BATCH: u64 = 10_000;

/// How many products have pictures, the first ones: a picture is a file, and takes its time.
const PICTURED: u64 = 12;

/// Fills the catalog; tells the ids, in the order in which they were made.
pub(super) async fn fill_catalog(app: &Arc<App>, count: u64) -> Result<Vec<ProductId>> {
    let categories = app.db.write("seed.categories", fill_categories).await?;
    let bar = output::progress(count, "products");
    let mut made = Vec::new();
    for _ in 0..count.min(PICTURED) {
        made.push(make_pictured(app, &categories).await?);
        app.clock.advance(Duration::from_secs(1));
        bar.inc(1);
    }
    let mut left = count.saturating_sub(PICTURED);
    while left > 0 {
        let part = left.min(BATCH);
        let batch: Vec<NewProduct> = (0..part)
            .map(|_| invent(&app.rng, &categories))
            .collect::<Result<_>>()?;
        app.clock.advance(Duration::from_secs(part));
        let ids = app
            .db
            .write("seed.products", move |tx| catalog::create_all(tx, &batch))
            .await?;
        made.extend(ids);
        left -= part;
        bar.inc(part);
    }
    app.db
        .write("seed.merge_words", catalog::merge_words)
        .await?;
    bar.finish_and_clear();
    Ok(made)
}

fn fill_categories(tx: &mut Tx<'_>) -> Result<Vec<CategoryId>> {
    KINDS
        .iter()
        .map(|kind| {
            let name = CategoryName::try_from(kind.name.to_owned()).map_err(Error::internal)?;
            match catalog::category_by_name(tx, &name)? {
                Some(known) => Ok(known.id),
                None => Ok(catalog::add_category(tx, &name)?.id),
            }
        })
        .collect()
}

async fn make_pictured(app: &Arc<App>, categories: &[CategoryId]) -> Result<ProductId> {
    let new = invent(&app.rng, categories)?;
    let mut drafts = Vec::new();
    for number in 0..=below(&app.rng, 2) {
        drafts.push(Draft {
            field: format!("images[{number}]"),
            file: drawing::draw(&app.rng, &app.config.data_dir)?,
        });
    }
    let stored = keep(app, drafts).await?;
    let (shop, attached) = (Arc::clone(app), stored.clone());
    let made = app
        .db
        .write("seed.product", move |tx| {
            catalog::create(tx, &shop, &new, &attached)
        })
        .await;
    if made.is_err() {
        discard(app, &stored).await;
    }
    Ok(made?.id)
}

fn invent(rng: &Rng, categories: &[CategoryId]) -> Result<NewProduct> {
    let at = below(rng, KINDS.len());
    let kind = &KINDS[at];
    let (thing, made_of) = (pick(rng, kind.things), pick(rng, kind.made_of));
    let (maker, adjective) = (pick(rng, MAKERS), pick(rng, ADJECTIVES));
    let variant = pick(rng, kind.variants);
    let name = format!("{maker} {adjective} {made_of} {thing}, {variant}");
    let description = format!(
        "{adjective} {} from {maker}, {}. {} {}",
        thing.to_lowercase(),
        made_of.to_lowercase(),
        pick(rng, PRAISE),
        pick(rng, CARE)
    );
    Ok(NewProduct {
        name: ProductName::try_from(name).map_err(Error::internal)?,
        description: Description::try_from(description).map_err(Error::internal)?,
        price: price(rng, kind.price)?,
        stock: stock(rng)?,
        category: categories.get(at).copied(),
    })
}

/// More often low than high, and just below a round sum.
fn price(rng: &Rng, (least, most): (u32, u32)) -> Result<Price> {
    let draw = || i64::try_from(rng.below(1000)).unwrap_or_default();
    let (least, most) = (i64::from(least), i64::from(most));
    let whole = least + (most - least) * draw() * draw() / 1_000_000;
    Price::try_from((whole / 10 * 10 + 9) * 100).map_err(Error::internal)
}

/// One of twenty is sold out.
fn stock(rng: &Rng) -> Result<Stock> {
    let stock = match rng.below(20) {
        0 => 0,
        _ => i64::try_from(rng.below(200)).unwrap_or_default() + 1,
    };
    Stock::try_from(stock).map_err(Error::internal)
}
