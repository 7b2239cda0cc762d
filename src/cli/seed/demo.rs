//! The sample data of `shop serve --demo`.

use std::{fs::File, io::Write, slice, sync::Arc};

use super::{
    demo_products::{CLOTHES, DemoClothing, DemoImage, DemoProduct, PRODUCTS},
    orders::create_paid_order,
    products::new_option,
    users::{create_user, hash_password, password_of},
};
use crate::{
    app::App,
    core::{
        audit::{self, Action, Changes},
        error::{Error, Kind, Result},
        id::{CategoryId, ProductId, UserId},
        money::{Currency, Price},
    },
    domain::{
        accounts::{self, Email, NewPassword, PasswordHash},
        catalog::{
            self, CategoryName, Description, NewProductWithVariants, NewVariant, ProductName,
            VariantChanges,
        },
        media::{ImageUpload, UploadedImage, delete_uploaded, store_images},
        orders::{self, Actor, Status},
    },
    infra::{db::Tx, ports::Gateway},
    server::demo::{self, DemoUser},
};

/// The customer's orders: their products, and the status changes after the payment.
const ORDERS: [(&[&str], &[Status]); 3] = [
    (
        &["Stoneware Mug", "Assam Breakfast Tea"],
        &[Status::Shipped, Status::Delivered],
    ),
    (
        &["Canvas Backpack", "Steel Water Bottle"],
        &[Status::Shipped],
    ),
    (&["Cast-Iron Skillet"], &[]),
];

/// Creates what is missing: the accounts, and in an empty shop the products and orders. Returns the password of each
/// account, or `None` if it was changed.
pub(in crate::cli) async fn fill_demo(app: &Arc<App>) -> Result<Vec<Option<String>>> {
    let mut passwords = Vec::new();
    for user in &demo::USERS {
        passwords.push(create_if_missing(app, user).await?);
    }
    let is_empty = app
        .db
        .read("catalog.categories", catalog::categories)
        .await?
        .is_empty();
    if is_empty {
        fill(app).await?;
    }
    Ok(passwords)
}

/// Creates an account. If it exists, its password stays as it is.
async fn create_if_missing(app: &App, user: &DemoUser) -> Result<Option<String>> {
    let text = password_of(app.demo_secrets.hash(&format!("password {}", user.email)));
    let password = NewPassword::try_from(text.clone()).map_err(Error::internal)?;
    let email = Email::parse(user.email).map_err(Error::internal)?;
    let find = move |tx: &mut Tx<'_>| match accounts::user_by_email(tx, &email) {
        Ok(_) => accounts::credentials(tx, &email).map(Some),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let Some(credentials) = app.db.read("accounts.credentials", find).await? else {
        let hash = hash_password(app, password).await?;
        create_user(app, user.email, user.name, user.role, hash).await?;
        return Ok(Some(text));
    };
    let matches = move |memory: &mut _| {
        let matches = |(_, stored): (UserId, PasswordHash)| stored.matches(&password, memory);
        Ok(credentials.is_some_and(matches))
    };
    let is_current = app.hash_pool.run_with(matches).await?;
    Ok(is_current.then_some(text))
}

/// Creates the products in one transaction, so that an interrupted start leaves none of them, and then the orders.
async fn fill(app: &Arc<App>) -> Result<()> {
    app.db
        .write("demo.audit", |tx| {
            tx.set_actor(Arc::new(audit::Actor::system()));
            let changes = || Changes::none().with("products", PRODUCTS.len() + CLOTHES.len());
            tx.audit(Action::ShopSeed, None, changes)
        })
        .await?;
    let mut uploads = Vec::new();
    for image in images_of_products() {
        uploads.push(ImageUpload {
            field: image.sku(),
            file: spool(app, image.file)?,
        });
    }
    let images = store_images(app, uploads).await?;
    let uploaded = images.clone();
    let created = app
        .db
        .write("demo.products", move |tx| create_products(tx, &uploaded))
        .await;
    if created.is_err() {
        delete_uploaded(app, &images).await;
    }
    create_orders(app, &created?).await
}

/// Returns an unnamed temporary file with this content.
fn spool(app: &App, content: &[u8]) -> Result<File> {
    let mut file = tempfile::tempfile_in(&app.config.data_dir).map_err(Error::internal)?;
    file.write_all(content).map_err(Error::internal)?;
    Ok(file)
}

/// Returns the images of all products in their order.
fn images_of_products() -> impl Iterator<Item = &'static DemoImage> {
    let clothes = CLOTHES.iter().flat_map(|clothing| clothing.colours);
    let products = PRODUCTS.iter().map(|product| &product.image);
    products.chain(clothes.map(|(_, image, _)| image))
}

/// Creates the products with their images and categories. Returns the ids in the order of [`PRODUCTS`].
fn create_products(tx: &mut Tx<'_>, images: &[UploadedImage]) -> Result<Vec<ProductId>> {
    let (of_products, mut of_clothes) = images.split_at(PRODUCTS.len());
    for clothing in CLOTHES {
        let (images, rest) = of_clothes.split_at(clothing.colours.len());
        of_clothes = rest;
        create_clothing(tx, clothing, images)?;
    }
    PRODUCTS
        .iter()
        .zip(of_products)
        .map(|(product, image)| create_product(tx, product, image))
        .collect()
}

fn create_product(
    tx: &mut Tx<'_>,
    product: &DemoProduct,
    image: &UploadedImage,
) -> Result<ProductId> {
    let variant = NewVariant {
        sku: Some(product.image.sku().try_into().map_err(Error::internal)?),
        stock: product.stock.try_into().map_err(Error::internal)?,
        ..NewVariant::at(price(product.rupees, tx.settings().currency)?)
    };
    let new = NewProductWithVariants {
        name: name(product.name)?,
        description: description(product.description)?,
        category: Some(category(tx, product.category)?),
        options: Vec::new(),
        variants: vec![variant],
    };
    let created = catalog::create_with_variants(tx, &new)?.product;
    catalog::update(
        tx,
        &created,
        &catalog::Changes::default(),
        slice::from_ref(image),
    )?;
    Ok(created.id)
}

/// Creates a product with an image for each colour.
fn create_clothing(
    tx: &mut Tx<'_>,
    clothing: &DemoClothing,
    images: &[UploadedImage],
) -> Result<()> {
    let price = price(clothing.rupees, tx.settings().currency)?;
    let mut variants = Vec::new();
    for (colour, image, stocks) in clothing.colours {
        for (size, stock) in clothing.sizes.iter().zip(*stocks) {
            let options = [("Colour", colour), ("Size", size)];
            let options = options.map(|(name, value)| (name.to_owned(), (*value).to_owned()));
            let sku = format!("{}-{size}", image.sku());
            variants.push(NewVariant {
                sku: Some(sku.try_into().map_err(Error::internal)?),
                stock: (*stock).try_into().map_err(Error::internal)?,
                options: options.into(),
                ..NewVariant::at(price)
            });
        }
    }
    let colours: Vec<&str> = clothing
        .colours
        .iter()
        .map(|(colour, ..)| *colour)
        .collect();
    let new = NewProductWithVariants {
        name: name(clothing.name)?,
        description: description(clothing.description)?,
        category: Some(category(tx, clothing.category)?),
        options: vec![
            new_option("Colour", &colours)?,
            new_option("Size", clothing.sizes)?,
        ],
        variants,
    };
    let created = catalog::create_with_variants(tx, &new)?;
    catalog::update(tx, &created.product, &catalog::Changes::default(), images)?;
    let of_colours = created.variants.chunks(clothing.sizes.len());
    for (image, variants) in images.iter().zip(of_colours) {
        for variant in variants {
            let current = catalog::variant_for_update(tx, variant.id)?;
            let changes = VariantChanges {
                image: Some(Some(image.id)),
                ..VariantChanges::default()
            };
            catalog::update_variant(tx, &current, &changes)?;
        }
    }
    Ok(())
}

fn name(text: &str) -> Result<ProductName> {
    ProductName::try_from(text.to_owned()).map_err(Error::internal)
}

fn description(text: &str) -> Result<Description> {
    Description::try_from(text.to_owned()).map_err(Error::internal)
}

/// Returns a price in the shop's currency. In a currency other than rupees, it is only plausible.
fn price(rupees: i64, currency: Currency) -> Result<Price> {
    let amount = if currency == Currency::INR {
        rupees * 100
    } else {
        rupees * 2
    };
    Price::try_from(amount).map_err(Error::internal)
}

fn category(tx: &mut Tx<'_>, name: &str) -> Result<CategoryId> {
    let name = CategoryName::try_from(name.to_owned()).map_err(Error::internal)?;
    match catalog::category_by_name(tx, &name)? {
        Some(existing) => Ok(existing.id),
        None => Ok(catalog::add_category(tx, &name)?.id),
    }
}

/// Places the customer's orders, and pays and moves each to its status.
async fn create_orders(app: &Arc<App>, products: &[ProductId]) -> Result<()> {
    if app.gateway.name() != "mock" {
        // A real provider would know nothing of these payments.
        return Ok(());
    }
    for (names, statuses) in ORDERS {
        let items: Vec<ProductId> = PRODUCTS
            .iter()
            .zip(products)
            .filter(|(product, _)| names.contains(&product.name))
            .map(|(_, id)| *id)
            .collect();
        let gateway = Arc::clone(&app.gateway);
        let create = move |tx: &mut Tx<'_>| create_order(tx, &*gateway, &items, statuses);
        app.db.write("demo.order", create).await?;
    }
    Ok(())
}

fn create_order(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    items: &[ProductId],
    statuses: &[Status],
) -> Result<()> {
    let email = Email::parse(demo::CUSTOMER.email).map_err(Error::internal)?;
    let customer = accounts::user_by_email(tx, &email)?.id;
    if let Some(placed) = create_paid_order(tx, gateway, customer, items)? {
        let mut order = orders::order(tx, placed, None)?;
        for status in statuses {
            order = orders::transition(tx, &order, *status, Actor::Admin)?;
        }
    }
    Ok(())
}
