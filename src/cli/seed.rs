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
use super::output::{self, Output};
use crate::{
    accounts::{self, Email, NewPassword, NewUser, PasswordHash, PersonName, Role},
    cart, catalog,
    clock::{Chance, Clock, Timestamp},
    config::Config,
    db::Tx,
    error::{Error, Result},
    id::{ProductId, UserId},
    money::Quantity,
    orders,
    payments::Delivery,
    ports::gateway::Visit,
    web::App,
};

#[derive(Debug, clap::Args)]
pub(super) struct Seed {
    #[arg(long, default_value_t = 200)]
    products: u64,
    #[arg(long, default_value_t = 20)]
    customers: u64,
    /// Paid orders of those customers
    #[arg(long, default_value_t = 0)]
    orders: u64,
    /// The same seed makes the same shop
    #[arg(long = "random-seed", value_name = "RANDOM_SEED", default_value_t = 1)]
    chance: u64,
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
    admin_email: String,
    admin_password: String,
    /// `customer1@example.com` and so on.
    customer_password: String,
}

impl Seed {
    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        let clock = Clock::fixed(BEGINNING);
        let (_, app) = super::open(config, clock, Chance::seeded(self.chance)).await?;
        let done = self.fill(&app).await;
        app.stopping.cancel();
        app.db.close().await;
        let seeded = done?;
        let words = format!(
            "made {} products, {} customers and {} orders\n  {}  {}\n  customer1@example.com …  {}",
            seeded.products,
            seeded.customers,
            seeded.orders,
            seeded.admin_email,
            seeded.admin_password,
            seeded.customer_password
        );
        output.one(&seeded, &words)
    }

    async fn fill(&self, app: &Arc<App>) -> Result<Seeded> {
        let (admin_password, admin_hash) = password(app).await?;
        let (customer_password, customer_hash) = password(app).await?;
        let admin_email = "admin@example.com".to_owned();
        person(app, &admin_email, "Asha Admin", Role::Admin, admin_hash).await?;
        let mut customers = Vec::new();
        for number in 1..=self.customers {
            let email = format!("customer{number}@example.com");
            let name = full_name(&app.chance);
            let hash = customer_hash.clone();
            customers.push(person(app, &email, &name, Role::Customer, hash).await?);
        }
        let products = fill_catalog(app, self.products).await?;
        let orders = fill_orders(app, &customers, &products, self.orders).await?;
        Ok(Seeded {
            products: self.products,
            customers: self.customers,
            orders,
            admin_email,
            admin_password,
            customer_password,
        })
    }
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
                    Err(error) if error.kind() == crate::error::Kind::NotFound => Ok(false),
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
    let chance = Chance::system();
    let text = chance.text(LETTERS, 16);
    let new = NewPassword::try_from(text.clone()).map_err(Error::internal)?;
    let hash = move |memory: &mut _| new.hash(memory, &chance);
    let hash = app.hashing.run_with(hash).await?;
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
        let customer = customers[below(&app.chance, customers.len())];
        let wanted: Vec<ProductId> = (0..=app.chance.below(3))
            .map(|_| products[below(&app.chance, products.len())])
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
    let visitor = accounts::Visitor {
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
    let draft = orders::Draft::new(tx, app);
    let order = orders::place(tx, app, customer, draft, None)?;
    // What the provider says first is enough; nothing else would change anything.
    let played = super::admin::play(tx, &order, Visit::default())?;
    if let Some(webhook) = played.webhooks.into_iter().next() {
        let delivery = Delivery {
            event_id: Some(webhook.event_id),
            body: webhook.body,
            is_signed: false,
        };
        orders::receive_payment(tx, app, &delivery)?;
    }
    Ok(true)
}

fn full_name(chance: &Chance) -> String {
    format!("{} {}", pick(chance, FIRST_NAMES), pick(chance, LAST_NAMES))
}

fn pick<'a>(chance: &Chance, words: &[&'a str]) -> &'a str {
    words[below(chance, words.len())]
}

fn below(chance: &Chance, bound: usize) -> usize {
    usize::try_from(chance.below(bound as u64)).unwrap_or_default()
}
