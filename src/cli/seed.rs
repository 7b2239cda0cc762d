//! Plausible data for trying, testing and measuring: the same for one seed, passwords aside.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::output::{self, Output};
use crate::{
    accounts::{self, Email, NewPassword, NewUser, PasswordHash, PersonName, Role},
    cart,
    catalog::{self, CategoryName, Description, NewProduct, ProductName},
    clock::{Chance, Clock, Timestamp},
    config::Config,
    db::Tx,
    error::{Error, Result},
    id::{CategoryId, ProductId, UserId},
    money::{Price, Quantity, Stock},
    orders,
    payments::Delivery,
    ports::Mock,
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

/// How many rows one transaction makes.
const BATCH: u64 = 500;

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
    let hash = app.hashing.run(move || new.hash(&chance)).await?;
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

async fn fill_catalog(app: &Arc<App>, count: u64) -> Result<Vec<ProductId>> {
    let categories = app.db.write("seed.categories", fill_categories).await?;
    let bar = output::progress(count, "products");
    let mut made = Vec::new();
    let mut left = count;
    while left > 0 {
        let part = left.min(BATCH);
        let batch: Vec<NewProduct> = (0..part)
            .map(|_| invent(&app.chance, &categories))
            .collect::<Result<_>>()?;
        let shop = Arc::clone(app);
        let clock = app.clock.clone();
        let ids = app
            .db
            .write("seed.products", move |tx| {
                batch
                    .iter()
                    .map(|new| Ok(catalog::create(tx, &shop, new, &[])?.id))
                    .collect::<Result<Vec<_>>>()
            })
            .await?;
        made.extend(ids);
        clock.advance(Duration::from_secs(part));
        left -= part;
        bar.inc(part);
    }
    bar.finish_and_clear();
    Ok(made)
}

fn fill_categories(tx: &mut Tx<'_>) -> Result<Vec<CategoryId>> {
    KINDS
        .iter()
        .map(|(name, _)| {
            let name = CategoryName::try_from((*name).to_owned()).map_err(Error::internal)?;
            match catalog::category_by_name(tx, &name)? {
                Some(known) => Ok(known.id),
                None => Ok(catalog::add_category(tx, &name)?.id),
            }
        })
        .collect()
}

fn invent(chance: &Chance, categories: &[CategoryId]) -> Result<NewProduct> {
    let at = below(chance, KINDS.len());
    let things = KINDS[at].1;
    let (thing, adjective, material) = (
        pick(chance, things),
        pick(chance, ADJECTIVES),
        pick(chance, MATERIALS),
    );
    let edition = chance.below(900) + 100;
    let name = format!("{adjective} {material} {thing} {edition}");
    let description = format!(
        "{adjective} {} in {}. {} {}",
        thing.to_lowercase(),
        material.to_lowercase(),
        pick(chance, PRAISE),
        pick(chance, CARE)
    );
    let price = (i64::try_from(chance.below(500)).unwrap_or_default() + 1) * 1000 - 100;
    let stock = i64::try_from(chance.below(200)).unwrap_or_default();
    Ok(NewProduct {
        name: ProductName::try_from(name).map_err(Error::internal)?,
        description: Description::try_from(description).map_err(Error::internal)?,
        price: Price::try_from(price).map_err(Error::internal)?,
        stock: Stock::try_from(stock).map_err(Error::internal)?,
        category: categories.get(at).copied(),
    })
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
    let event = super::admin::payment_event(app, &order, "payment.captured")?;
    let delivery = Delivery {
        event_id: Some(Mock::event_id(&app.chance)),
        body: event.to_string().into(),
    };
    orders::receive_payment(tx, app, &delivery)?;
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

const KINDS: &[(&str, &[&str])] = &[
    (
        "Kitchen",
        &[
            "Kettle",
            "Frying Pan",
            "Chopping Board",
            "Spice Box",
            "Mixing Bowl",
            "Ladle",
        ],
    ),
    (
        "Home",
        &[
            "Lamp", "Cushion", "Rug", "Curtain", "Vase", "Clock", "Mirror",
        ],
    ),
    (
        "Clothing",
        &[
            "Shirt", "Kurta", "Scarf", "Jacket", "Trousers", "Shawl", "Socks",
        ],
    ),
    (
        "Shoes",
        &["Sandals", "Sneakers", "Boots", "Loafers", "Slippers"],
    ),
    (
        "Electronics",
        &[
            "Headphones",
            "Charger",
            "Speaker",
            "Keyboard",
            "Power Bank",
            "Mouse",
        ],
    ),
    (
        "Books",
        &[
            "Notebook",
            "Atlas",
            "Cookbook",
            "Novel",
            "Sketchbook",
            "Diary",
        ],
    ),
    (
        "Garden",
        &[
            "Planter",
            "Watering Can",
            "Trowel",
            "Bird Feeder",
            "Hammock",
        ],
    ),
    (
        "Toys",
        &[
            "Puzzle",
            "Kite",
            "Spinning Top",
            "Building Blocks",
            "Doll",
            "Train Set",
        ],
    ),
    (
        "Sports",
        &[
            "Yoga Mat",
            "Cricket Bat",
            "Football",
            "Skipping Rope",
            "Dumbbell",
        ],
    ),
    (
        "Stationery",
        &[
            "Fountain Pen",
            "Pencil Case",
            "Desk Tray",
            "Stapler",
            "Paperweight",
        ],
    ),
];

const ADJECTIVES: &[&str] = &[
    "Classic", "Everyday", "Handmade", "Compact", "Premium", "Light", "Sturdy", "Modern",
    "Vintage", "Quiet", "Bright", "Soft", "Slim", "Travel", "Family", "Artisan",
];

const MATERIALS: &[&str] = &[
    "Cotton", "Steel", "Oak", "Bamboo", "Brass", "Leather", "Ceramic", "Linen", "Wool", "Copper",
    "Glass", "Jute", "Teak", "Silk", "Cork", "Walnut",
];

const PRAISE: &[&str] = &[
    "Made to last and easy to repair.",
    "Small enough for every home.",
    "A favourite of our customers.",
    "Designed and finished by hand.",
    "Comes in a box without plastic.",
];

const CARE: &[&str] = &[
    "Wipe with a dry cloth.",
    "Keep out of direct sun.",
    "With two years of warranty.",
    "Wash at 30 degrees.",
    "Spare parts can be ordered.",
];

const FIRST_NAMES: &[&str] = &[
    "Aarav", "Diya", "Ishaan", "Kavya", "Meera", "Nikhil", "Priya", "Rohan", "Sana", "Tara",
    "Vikram", "Zoya", "Anika", "Dev", "Farah", "Kabir",
];

const LAST_NAMES: &[&str] = &[
    "Sharma",
    "Patel",
    "Iyer",
    "Khan",
    "Das",
    "Reddy",
    "Nair",
    "Singh",
    "Mehta",
    "Bose",
    "Joshi",
    "Rao",
    "Gupta",
    "Fernandes",
];
