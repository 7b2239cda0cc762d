//! Plausible data for trying, testing and measuring: the same for one seed, passwords aside.

mod drawing;
mod goods;
mod words;

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use self::{
    goods::fill_catalog,
    words::{FIRST_NAMES, LAST_NAMES},
};
use super::{
    Pictures,
    output::{self, Output},
};
use crate::{
    app::App,
    core::{
        clock::{Clock, Timestamp},
        error::{Error, Result},
        id::{ProductId, UserId},
        money::Quantity,
        rng::Rng,
    },
    domain::{
        accounts::{self, Email, NewPassword, NewUser, PasswordHash, PersonName, Role},
        cart, catalog, orders,
        payments::Delivery,
        settlement,
    },
    infra::{
        config::Config,
        db::{self, Tx},
        ports::gateway::Visit,
    },
    server::{self, Home},
};

#[derive(Debug, clap::Args)]
pub(super) struct Seed {
    /// How many products to add
    #[arg(long, default_value_t = 200)]
    products: u32,
    /// How many customers to add, with addresses under example.com
    #[arg(long, default_value_t = 20)]
    customers: u32,
    /// Paid orders of those customers
    #[arg(long, default_value_t = 0)]
    orders: u32,
    /// The same seed makes the same shop of an empty one
    #[arg(long = "random-seed", value_name = "RANDOM_SEED", default_value_t = 1)]
    rng: u64,
}

/// When seeded data begins: 2026-01-01T00:00:00Z. Every product is a second younger.
const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);

/// What seeding made, and the passwords that are shown this once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Seeded {
    products: u64,
    customers: u64,
    orders: u64,
    /// Only in a shop that this command created.
    #[serde(flatten)]
    admin: Option<Admin>,
    /// `None`: no customers were asked for.
    #[serde(flatten)]
    customers_made: Option<Customers>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Customers {
    first_customer_email: String,
    last_customer_email: String,
    /// Of all of them.
    customer_password: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Admin {
    admin_email: String,
    admin_password: String,
}

impl Seed {
    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        let is_new = !server::look(&config).await?;
        let home = Home::open(&config.data_dir)?;
        let clock = Clock::fixed(BEGINNING);
        let rng = Rng::seeded(self.rng);
        let app = super::open_in(&home, config, clock, rng, Pictures::Handled).await?;
        let done = self.fill(&app, is_new).await;
        app.stopping.cancel();
        app.db.close().await;
        let seeded = done?;
        output.one(&seeded, &seeded.words())
    }

    async fn fill(&self, app: &Arc<App>, is_new: bool) -> Result<Seeded> {
        let count = |tx: &mut Tx<'_>| db::count_up(tx, "seeds");
        let round = app.db.write("seed.count", count).await?;
        if !is_new {
            // The same chance would draw the ids of an earlier seed once more.
            app.rng.reseed(self.rng, round.unsigned_abs());
        }
        let admin = if is_new {
            let (admin_password, hash) = password(app).await?;
            let admin_email = "admin@example.com".to_owned();
            person(app, &admin_email, "Asha Admin", Role::Admin, hash).await?;
            Some(Admin {
                admin_email,
                admin_password,
            })
        } else {
            None
        };
        let (customers, customers_made) = self.add_customers(app).await?;
        let products = fill_catalog(app, self.products.into()).await?;
        let orders = fill_orders(app, &customers, &products, self.orders.into()).await?;
        Ok(Seeded {
            products: self.products.into(),
            customers: self.customers.into(),
            orders,
            admin,
            customers_made,
        })
    }

    /// Adds customers behind those of earlier seeds.
    async fn add_customers(&self, app: &Arc<App>) -> Result<(Vec<UserId>, Option<Customers>)> {
        if self.customers == 0 {
            return Ok((Vec::new(), None));
        }
        let (customer_password, hash) = password(app).await?;
        let last = app.db.long_read("seed.last", last_customer).await?;
        let (mut customers, mut emails) = (Vec::new(), Vec::new());
        for number in (1..=self.customers).map(|number| last + u64::from(number)) {
            let email = format!("customer{number}@example.com");
            let name = full_name(&app.rng);
            customers.push(person(app, &email, &name, Role::Customer, hash.clone()).await?);
            emails.push(email);
        }
        let customers_made = emails
            .first()
            .zip(emails.last())
            .map(|(first, last)| Customers {
                first_customer_email: first.clone(),
                last_customer_email: last.clone(),
                customer_password,
            });
        Ok((customers, customers_made))
    }
}

impl Seeded {
    fn words(&self) -> String {
        let made = format!(
            "made {} products, {} customers and {} orders",
            self.products, self.customers, self.orders
        );
        let admin = self.admin.as_ref();
        let admin = admin.map(|it| format!("  {}  {}", it.admin_email, it.admin_password));
        let customers = self.customers_made.as_ref().map(|customers| {
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
        let lines: Vec<_> = [made].into_iter().chain(admin).chain(customers).collect();
        lines.join("\n")
    }
}

/// The highest number of a seeded customer; 0 where there is none.
fn last_customer(tx: &mut Tx<'_>) -> Result<u64> {
    let number = |user: &accounts::User| {
        let digits = user.email.strip_prefix("customer")?;
        let number: u32 = digits.strip_suffix("@example.com")?.parse().ok()?;
        Some(u64::from(number))
    };
    let users = accounts::all(tx)?;
    let numbers = users.iter().filter_map(|(user, _)| number(user));
    Ok(numbers.max().unwrap_or(0))
}

/// How many products a demo shows.
const DEMO_PRODUCTS: u64 = 60;

/// Fills a demo's empty shop and gives its two people new passwords.
pub(super) async fn demo(app: &Arc<App>) -> Result<Vec<(String, String)>> {
    let is_empty = app
        .db
        .read("catalog.categories", catalog::categories)
        .await?
        .is_empty();
    if is_empty {
        fill_catalog(app, DEMO_PRODUCTS).await?;
    }
    let mut people = Vec::new();
    for (email, name, role) in [
        ("admin@example.com", "Asha Admin", Role::Admin),
        ("customer@example.com", "Chetan Customer", Role::Customer),
    ] {
        let (password, hash) = password(app).await?;
        let address = Email::parse(email).map_err(Error::internal)?;
        let renewed = hash.clone();
        let known = app
            .db
            .write("demo.password", move |tx| {
                match accounts::user_by_email(tx, &address) {
                    Ok(user) => accounts::set_password(tx, user.id, &renewed).map(|()| true),
                    Err(error) if error.kind() == crate::core::error::Kind::NotFound => Ok(false),
                    Err(error) => Err(error),
                }
            })
            .await?;
        if !known {
            person(app, email, name, role, hash).await?;
        }
        people.push((email.to_owned(), password));
    }
    Ok(people)
}

/// A password of the system's own chance, never of the seed.
async fn password(app: &App) -> Result<(String, PasswordHash)> {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let rng = Rng::system();
    let text = rng.text(LETTERS, 16);
    let new = NewPassword::try_from(text.clone()).map_err(Error::internal)?;
    let hash = move |memory: &mut _| new.hash(memory, &rng);
    let hash = app.hash_pool.run_with(hash).await?;
    Ok((text, hash))
}

async fn person(
    app: &App,
    email: &str,
    name: &str,
    role: Role,
    password: PasswordHash,
) -> Result<UserId> {
    let new = NewUser {
        email: Email::parse(email).map_err(Error::internal)?,
        name: PersonName::try_from(name.to_owned()).map_err(Error::internal)?,
        password,
        role,
        verified: true,
    };
    let user = app
        .db
        .write("seed.person", move |tx| accounts::register(tx, &new))
        .await?;
    Ok(user.id)
}

/// Orders through the same doors as real ones: a cart, a checkout, the provider's word.
async fn fill_orders(
    app: &Arc<App>,
    customers: &[UserId],
    products: &[ProductId],
    count: u64,
) -> Result<u64> {
    if customers.is_empty() || products.is_empty() {
        return Ok(0);
    }
    let bar = output::progress(count, "orders");
    let mut placed = 0;
    for _ in 0..count {
        let customer = customers[below(&app.rng, customers.len())];
        let wanted: Vec<ProductId> = (0..=app.rng.below(3))
            .map(|_| products[below(&app.rng, products.len())])
            .collect();
        let shop = Arc::clone(app);
        let done = app
            .db
            .write("seed.order", move |tx| {
                place_paid_order(tx, &shop, customer, &wanted)
            })
            .await?;
        placed += u64::from(done);
        app.clock.advance(Duration::from_secs(1));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(placed)
}

/// Tells whether any of what was wanted is in stock.
fn place_paid_order(
    tx: &mut Tx<'_>,
    app: &App,
    customer: UserId,
    wanted: &[ProductId],
) -> Result<bool> {
    tx.write_no_mail();
    let visitor = accounts::CurrentUser {
        user: customer,
        role: Role::Customer,
    };
    let mut taken = Vec::new();
    for id in wanted {
        let in_stock = catalog::product(tx, app, *id)?.stock_quantity > 0;
        if in_stock && !taken.contains(id) {
            cart::add(tx, app, visitor, *id, Quantity::ONE)?;
            taken.push(*id);
        }
    }
    if taken.is_empty() {
        return Ok(false);
    }
    let new = orders::NewOrder::new(tx, app);
    let order = orders::place(tx, app, customer, new, None)?;
    // What the provider says first is enough; nothing else would change anything.
    let played = super::admin::play(tx, &order, Visit::default())?;
    if let Some(webhook) = played.webhooks.into_iter().next() {
        let delivery = Delivery::unsigned(&*app.gateway, Some(&webhook.event_id), webhook.body);
        settlement::receive(tx, app, &delivery)?;
    }
    Ok(true)
}

fn full_name(rng: &Rng) -> String {
    format!("{} {}", pick(rng, FIRST_NAMES), pick(rng, LAST_NAMES))
}

fn pick<'a>(rng: &Rng, words: &[&'a str]) -> &'a str {
    words[below(rng, words.len())]
}

fn below(rng: &Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or_default()
}
