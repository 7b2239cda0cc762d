//! The sample data of `shop serve --demo`.

use std::{fs::File, io::Write, slice, sync::Arc};

use super::{
    demo_products::PRODUCTS,
    orders::create_paid_order,
    users::{create_user, hash_password, password_of},
};
use crate::{
    app::App,
    core::{
        audit::{self, Action, Changes},
        error::{Error, Kind, Result},
        id::{CategoryId, ProductId, UserId},
        money::{Currency, Price, Stock},
    },
    domain::{
        accounts::{self, Email, NewPassword, PasswordHash},
        catalog::{self, CategoryName, Description, NewProduct, ProductName},
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
            let changes = || Changes::none().with("products", PRODUCTS.len());
            tx.audit(Action::ShopSeed, None, changes)
        })
        .await?;
    let mut uploads = Vec::new();
    for product in PRODUCTS {
        uploads.push(ImageUpload {
            field: product.name.to_owned(),
            file: spool(app, product.image)?,
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

/// Creates the products, each with one image, and their categories. Returns the ids in the order of [`PRODUCTS`].
fn create_products(tx: &mut Tx<'_>, images: &[UploadedImage]) -> Result<Vec<ProductId>> {
    let currency = tx.settings().currency;
    PRODUCTS
        .iter()
        .zip(images)
        .map(|(product, image)| {
            let new = NewProduct {
                name: ProductName::try_from(product.name.to_owned()).map_err(Error::internal)?,
                description: Description::try_from(product.description.to_owned())
                    .map_err(Error::internal)?,
                price: price(product.rupees, currency)?,
                stock: Stock::try_from(product.stock).map_err(Error::internal)?,
                category: Some(category(tx, product.category)?),
            };
            let created = catalog::create(tx, &new, slice::from_ref(image))?;
            Ok(created.id)
        })
        .collect()
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
