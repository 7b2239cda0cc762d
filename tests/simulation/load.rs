//! A load test on the real program: concurrent customers pay, fail to pay, cancel, or do both. In the meantime webhooks
//! get lost, repeated and delayed, and the server is killed again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::Method;
use serde_json::{Value, json};
use shop::{core::rng::Rng, domain::settlement};
use tokio::sync::watch;

use super::{
    assert_verified,
    provider::{FlakyProvider, RESPONSE_TIMEOUT, RetryingClient},
};
use crate::support::{Process, Remote, Site, storage_test};

const CUSTOMERS: usize = 12;

/// The initial stock of each product.
const STOCK: i64 = 1_000_000;

/// Sessions and unpaid orders do not expire during the test.
const SETTINGS: [(&str, &str); 2] = [
    ("SHOP_ACCESS_TOKEN_TTL", "24h"),
    ("SHOP_PAYMENT_WINDOW", "24h"),
];

const KILLS: usize = 5;

/// Returns the number of orders; `SHOP_TEST_ORDERS` overrides it.
fn order_count() -> usize {
    std::env::var("SHOP_TEST_ORDERS").map_or(120, |orders| orders.parse().unwrap())
}

/// What a customer does after placing an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behavior {
    Pay,
    FailAndPay,
    Fail,
    Cancel,
    CancelAndPay,
    /// Pays and cancels concurrently.
    PayAndCancel,
    PayTwice,
    Abandon,
}

impl Behavior {
    fn random(rng: &Rng) -> Behavior {
        match rng.below(100) {
            0..55 => Behavior::Pay,
            55..61 => Behavior::FailAndPay,
            61..68 => Behavior::Fail,
            68..76 => Behavior::Cancel,
            76..85 => Behavior::CancelAndPay,
            85..92 => Behavior::PayAndCancel,
            92..96 => Behavior::PayTwice,
            _ => Behavior::Abandon,
        }
    }
}

/// The outcome of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancellation {
    NotRequested,
    Accepted,
    Refused,
    /// Refused, but an earlier attempt without a response may have succeeded.
    Unknown,
}

/// An order, and what its customer knows about it.
struct KnownOrder {
    order: Value,
    cancellation: Cancellation,
}

/// The state that all customers share.
struct Load {
    provider: FlakyProvider,
    products: [String; 3],
    /// The number of orders that are still to be placed.
    remaining: AtomicUsize,
    /// The number of orders that are done.
    done: watch::Sender<usize>,
}

struct Customer {
    client: RetryingClient,
    load: Arc<Load>,
    rng: Rng,
    known: Vec<KnownOrder>,
}

impl Customer {
    /// Fills the cart with exactly this line. An attempt without a response may have succeeded, so the quantity is
    /// set if the line exists.
    async fn fill_cart(&mut self, product: &str, quantity: u64) {
        let json = [("content-type", "application/json")];
        let line = format!("/cart/items/{product}");
        let set = json!({ "quantity": quantity }).to_string();
        let add = json!({ "productId": product, "quantity": quantity }).to_string();
        loop {
            let set = self
                .client
                .call(Method::PATCH, &line, &json, set.as_bytes());
            if set.await.0.status == 200 {
                return;
            }
            let add = self
                .client
                .call(Method::POST, "/cart", &json, add.as_bytes());
            let (added, is_uncertain) = add.await;
            assert_eq!(added.status, 200, "{added:?}");
            if !is_uncertain {
                return;
            }
        }
    }

    async fn place_order(&mut self, number: usize) -> Value {
        let product = self.load.products[number % 3].clone();
        let quantity = 1 + self.rng.below(3);
        self.fill_cart(&product, quantity).await;
        let key = format!("key-{number}");
        let headers = [("idempotency-key", key.as_str())];
        let placed = self.client.call(Method::POST, "/orders", &headers, b"");
        let (placed, _) = placed.await;
        assert_eq!(placed.status, 201, "{placed:?}");
        placed.json()
    }

    /// Acts on an order at random, and delivers the webhooks that are due. Returns the outcome of the cancellation.
    async fn act_on(&mut self, order: &Value) -> Cancellation {
        let mut webhook_sender = self.client.clone();
        webhook_sender.token = None;
        let provider = &self.load.provider;
        let mut cancellation = Cancellation::NotRequested;
        match Behavior::random(&self.rng) {
            Behavior::Pay => provider.pay(order, false).await,
            Behavior::Fail => provider.pay(order, true).await,
            Behavior::FailAndPay => {
                provider.pay(order, true).await;
                provider.pay(order, false).await;
            }
            Behavior::PayTwice => {
                provider.pay(order, false).await;
                provider.pay(order, false).await;
            }
            Behavior::Cancel => cancellation = cancel(&mut self.client, order).await,
            Behavior::CancelAndPay => {
                cancellation = cancel(&mut self.client, order).await;
                provider.pay(order, false).await;
            }
            Behavior::PayAndCancel => {
                provider.pay(order, false).await;
                let delivery = provider.deliver(&mut webhook_sender, false);
                (cancellation, ()) = tokio::join!(cancel(&mut self.client, order), delivery);
            }
            Behavior::Abandon => {}
        }
        self.load.provider.deliver(&mut webhook_sender, false).await;
        cancellation
    }

    /// Places orders until none remain.
    async fn run(mut self) -> Customer {
        let next = |left: usize| left.checked_sub(1);
        let load = Arc::clone(&self.load);
        while let Ok(number) = load
            .remaining
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
        {
            let order = self.place_order(number).await;
            let cancellation = self.act_on(&order).await;
            self.known.push(KnownOrder {
                order,
                cancellation,
            });
            load.done.send_modify(|done| *done += 1);
        }
        self
    }

    /// Compares the shop's orders with those of the customer and the provider, and adds them to the totals.
    async fn check_orders(&mut self, totals: &mut Totals) {
        for known in std::mem::take(&mut self.known) {
            let path = format!("/orders/{}", known.order["id"].as_str().unwrap());
            let shown = self.client.call(Method::GET, &path, &[], b"").await.0;
            assert_eq!(shown.status, 200, "{shown:?}");
            totals.add(&known, &shown.json(), &self.load.provider);
        }
    }
}

async fn cancel(client: &mut RetryingClient, order: &Value) -> Cancellation {
    let path = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
    match client.call(Method::POST, &path, &[], b"").await {
        (answer, _) if answer.status == 200 => Cancellation::Accepted,
        (answer, is_uncertain) => {
            answer.assert_problem(409, "illegal-transition");
            if is_uncertain {
                Cancellation::Unknown
            } else {
                Cancellation::Refused
            }
        }
    }
}

/// The totals over all orders.
#[derive(Default)]
struct Totals {
    /// The sold quantity by product.
    sold: BTreeMap<String, i64>,
    /// The number of orders by order status and payment status.
    statuses: BTreeMap<String, usize>,
    /// The payments that pay for an order.
    transactions: BTreeSet<String>,
    /// Further payments of the same orders.
    duplicates: BTreeSet<String>,
}

impl Totals {
    /// Checks that an order matches the customer's requests and the provider's payments.
    fn add(&mut self, known: &KnownOrder, shown: &Value, provider: &FlakyProvider) {
        let order = &known.order;
        let mut account = provider.account(order);
        let (is_cancelled, is_paid) =
            (shown["status"] == "CANCELLED", !account.captured.is_empty());
        match known.cancellation {
            Cancellation::NotRequested => assert!(!is_cancelled, "nobody cancelled it: {shown}"),
            Cancellation::Accepted => assert!(is_cancelled, "it was cancelled: {shown}"),
            Cancellation::Refused => assert!(!is_cancelled && is_paid, "it is paid: {shown}"),
            Cancellation::Unknown => {}
        }
        let total = order["totalAmount"].as_i64().unwrap();
        let unpaid = ["CREATED", "FAILED"][usize::from(account.has_failed)];
        let (status, payment, refunded) = match (is_cancelled, is_paid) {
            (false, false) => ("PENDING", unpaid, 0),
            (false, true) => ("PAID", "CAPTURED", 0),
            (true, false) => ("CANCELLED", unpaid, 0),
            (true, true) => ("CANCELLED", "REFUNDED", total),
        };
        assert_eq!(shown["status"], status, "{shown}");
        let money = &shown["payment"];
        assert_eq!(money["status"], payment, "{shown}");
        assert_eq!(money["amount"], total);
        assert_eq!(money["refundedAmount"], refunded, "{shown}");
        let refunds = money["refunds"].as_array().unwrap();
        assert_eq!(refunds.len(), usize::from(refunded > 0), "{shown}");
        if let Some(transaction) = money["transactionId"].as_str() {
            assert!(account.captured.remove(transaction), "{shown}");
            assert!(self.transactions.insert(transaction.to_owned()));
        } else {
            assert!(!is_paid, "{shown}");
        }
        self.duplicates.append(&mut account.captured);
        *self
            .statuses
            .entry(format!("{status} {payment}"))
            .or_default() += 1;
        if !is_cancelled {
            for item in shown["items"].as_array().unwrap() {
                let product = item["productId"].as_str().unwrap().to_owned();
                *self.sold.entry(product).or_default() += item["quantity"].as_i64().unwrap();
            }
        }
    }
}

/// Kills and restarts the server each time that a share of the orders is done.
async fn kill_repeatedly(
    site: &Site,
    mut process: Process,
    load: &Load,
    address: &watch::Sender<Remote>,
) -> Process {
    let (mut done, orders) = (load.done.subscribe(), order_count());
    for kill in 1..=KILLS {
        let target = orders * kill / (KILLS + 1);
        let reached = done.wait_for(|done| *done >= target);
        let reached = tokio::time::timeout(RESPONSE_TIMEOUT * 10, reached).await;
        drop(reached.expect("the customers make no progress").unwrap());
        process.kill();
        process = site.start_with(&SETTINGS);
        address.send_replace(Remote::new(&process));
    }
    process
}

storage_test! {
    async fn orders_match_their_payments_after_crashes_and_lost_webhooks(site: Site) {
        let products = ["Kettle", "Mug", "Plate"].map(|name| site.product(name, 129_900, STOCK));
        let process = site.start_with(&SETTINGS);
        let shop = site.open_in_process().await;
        let (address, addresses) = watch::channel(Remote::new(&process));
        let load = Arc::new(Load {
            provider: FlakyProvider::new(Arc::clone(&shop), Rng::seeded(5)),
            products,
            remaining: AtomicUsize::new(order_count()),
            done: watch::Sender::new(0),
        });
        let anonymous = addresses.borrow().clone();
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            let name = format!("customer{number}");
            let token = anonymous.registered(&name).await.token;
            let customer = Customer {
                client: RetryingClient { token, address: addresses.clone() },
                load: Arc::clone(&load),
                rng: Rng::seeded(number.try_into().unwrap()),
                known: Vec::new(),
            };
            customers.push(tokio::spawn(customer.run()));
        }
        // A failing customer fails the test immediately.
        let customers = futures_util::future::try_join_all(customers);
        let restarted = async { Ok(kill_repeatedly(&site, process, &load, &address).await) };
        let (process, customers) = tokio::try_join!(restarted, customers).unwrap();

        let mut webhook_sender = RetryingClient { token: None, address: addresses };
        load.provider.deliver(&mut webhook_sender, true).await;
        let disturbances = load.provider.disturbances();
        let reconciled = settlement::reconcile(&shop, |_| ()).await.unwrap();
        assert_eq!(reconciled.compared, order_count());
        assert_eq!(reconciled.failures, <[String; 0]>::default());
        let again = settlement::reconcile(&shop, |_| ()).await.unwrap();
        let found =
            [again.captured, again.failed, again.refunded, again.unmatched, again.duplicates];
        assert_eq!(found, [0; 5], "a second reconciliation changes nothing");

        let mut totals = Totals::default();
        for mut customer in customers {
            customer.check_orders(&mut totals).await;
        }
        assert_eq!(totals.statuses.values().sum::<usize>(), order_count());
        assert!(totals.transactions.is_disjoint(&totals.duplicates), "a payment is either accepted or a duplicate");
        let raw = site.raw_db();
        raw.assert_invariants();
        assert_verified(&site.run(&["verify"]));
        assert_eq!(raw.number("SELECT count(*) FROM orders"), i64::try_from(order_count()).unwrap());
        let ids = |outcome: &str| {
            let rows = raw.rows(&format!(
                "SELECT provider_payment_id FROM payment_events WHERE outcome LIKE '{outcome}'"
            ));
            let mut ids: Vec<_> = rows.concat().into_iter().flatten().collect();
            ids.sort();
            ids
        };
        assert!(ids("captured").iter().eq(&totals.transactions), "each payment is captured once");
        assert!(ids("duplicate").iter().eq(&totals.duplicates), "each duplicate is recorded once");
        assert_eq!(ids("unmatched%"), Vec::<String>::new());
        let refunds = raw.rows(
            "SELECT transaction_id FROM refunds
             WHERE transaction_id IS NOT NULL AND status = 'PROCESSED' ORDER BY transaction_id",
        );
        let refunds = refunds.into_iter().flatten().flatten();
        assert!(refunds.eq(totals.duplicates), "each duplicate is refunded once");
        for product in &load.products {
            let path = format!("/products/{product}");
            let shown = webhook_sender.call(Method::GET, &path, &[], b"").await.0;
            let sold = totals.sold.get(product).copied().unwrap_or_default();
            assert_eq!(shown.number("/stockQuantity"), STOCK - sold);
        }
        let summary = format!("{disturbances}; {reconciled:?}; {:?}\n", totals.statuses);
        std::io::stderr().write_all(summary.as_bytes()).unwrap();
        drop(process);
        shop.stopping.cancel();
        shop.db.close().await;
    }
}
