//! `shop admin seed`: fills the shop with sample data. The same seed creates the same data, except for passwords.

mod categories;
mod demo;
mod demo_products;
mod orders;
mod placeholder_image;
mod products;
mod random;
mod users;
mod vocabulary;

use std::sync::Arc;

use serde::Serialize;

pub(super) use self::demo::fill_demo;
use self::{
    orders::create_orders,
    products::create_products,
    users::{NewCustomers, create_customers, create_user, generate_password},
};
use super::{
    migrate::check_schema,
    open::{self, ImageAccess},
    output::Output,
    write::write,
};
use crate::{
    app::App,
    core::{
        audit::{Action, Changes},
        clock::{Clock, Timestamp},
        error::Result,
        rng::Rng,
    },
    domain::accounts::Role,
    infra::{config::Config, db},
    server::{self, DataDir},
};

#[derive(Debug, clap::Args)]
pub(super) struct Seed {
    /// Number of products to create
    #[arg(long, default_value_t = 200)]
    products: u32,
    /// Number of customers to create, with email addresses under example.com
    #[arg(long, default_value_t = 20)]
    customers: u32,
    /// Number of paid orders to create for these customers
    #[arg(long, default_value_t = 0)]
    orders: u32,
    /// Seed of the random data; in an empty shop, the same seed creates the same data
    #[arg(long = "random-seed", value_name = "RANDOM_SEED", default_value_t = 1)]
    rng: u64,
}

/// When the first product is created: 2026-01-01T00:00:00Z. The others follow one second apart.
const START: Timestamp = Timestamp(1_767_225_600_000);

/// What was created, with the passwords, which are not shown again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SeedReport {
    products: u64,
    customers: u64,
    orders: u64,
    /// Only if this command created the shop.
    #[serde(flatten)]
    admin: Option<AdminCredentials>,
    /// `None` if no customers were requested.
    #[serde(flatten)]
    customer_credentials: Option<CustomerCredentials>,
}

/// The customers' email addresses are numbered. They share one password.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CustomerCredentials {
    first_customer_email: String,
    last_customer_email: String,
    customer_password: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AdminCredentials {
    admin_email: String,
    admin_password: String,
}

impl Seed {
    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        let version = server::preflight(&config).await?;
        version.map_or(Ok(()), check_schema)?;
        let is_new = version.is_none();
        let data_dir = DataDir::open(&config.data_dir)?;
        let (clock, rng) = (Clock::fixed(START), Rng::seeded(self.rng));
        let app = open::open_in(&data_dir, config, clock, rng, ImageAccess::Needed).await?;
        let result = self.fill(&app, is_new).await;
        open::close(&app).await;
        let report = result?;
        output.value(&report, &report.summary())
    }

    async fn fill(&self, app: &Arc<App>, is_new: bool) -> Result<SeedReport> {
        let requested = Changes::none()
            .with("products", self.products)
            .with("customers", self.customers)
            .with("orders", self.orders)
            .with("randomSeed", self.rng);
        // One entry for all that follows.
        let round = write(app, "seed.count", move |tx| {
            tx.audit(Action::ShopSeed, None, || requested.clone())?;
            db::count_up(tx, "seeds")
        })
        .await?;
        if !is_new {
            // Otherwise the ids would be those of an earlier run.
            app.rng.reseed(self.rng, round.unsigned_abs());
        }
        let admin = if is_new {
            Some(create_admin(app).await?)
        } else {
            None
        };
        let customers = create_customers(app, self.customers).await?;
        let customer_ids = customers.as_ref().map_or(&[][..], |it| &it.ids);
        let products = create_products(app, self.products.into()).await?;
        let orders = create_orders(app, customer_ids, &products, self.orders.into()).await?;
        Ok(SeedReport {
            products: self.products.into(),
            customers: self.customers.into(),
            orders,
            admin,
            customer_credentials: customers.and_then(CustomerCredentials::of),
        })
    }
}

async fn create_admin(app: &App) -> Result<AdminCredentials> {
    let (admin_password, hash) = generate_password(app).await?;
    let admin_email = "admin@example.com".to_owned();
    create_user(app, &admin_email, "Asha Admin", Role::Admin, hash).await?;
    Ok(AdminCredentials {
        admin_email,
        admin_password,
    })
}

impl CustomerCredentials {
    fn of(customers: NewCustomers) -> Option<CustomerCredentials> {
        let NewCustomers {
            emails, password, ..
        } = customers;
        Some(CustomerCredentials {
            first_customer_email: emails.first()?.clone(),
            last_customer_email: emails.last()?.clone(),
            customer_password: password,
        })
    }
}

impl SeedReport {
    fn summary(&self) -> String {
        let created = format!(
            "created {} products, {} customers and {} orders",
            self.products, self.customers, self.orders
        );
        let admin = self.admin.as_ref();
        let admin = admin.map(|it| format!("  {}  {}", it.admin_email, it.admin_password));
        let customers = self.customer_credentials.as_ref().map(|customers| {
            let (first, last) = (
                &customers.first_customer_email,
                &customers.last_customer_email,
            );
            let emails = if first == last {
                first.clone()
            } else {
                format!("{first} … {last}")
            };
            format!("  {emails}  {}", customers.customer_password)
        });
        let lines: Vec<_> = [created]
            .into_iter()
            .chain(admin)
            .chain(customers)
            .collect();
        lines.join("\n")
    }
}
