//! Many customers at once, who pay, fail to, cancel, do both or change their minds, while the provider
//! has a bad day and the server is killed again and again.

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
    is_verified,
    provider::{PATIENCE, Patient, Razorpay},
};
use crate::support::{Process, Remote, Site, storage_test};

const CUSTOMERS: usize = 12;

/// In stock of each product when the story begins.
const STOCK: i64 = 1_000_000;

/// Sessions and orders outlive the story.
const LONG: [(&str, &str); 2] = [
    ("SHOP_ACCESS_TOKEN_TTL", "24h"),
    ("SHOP_PAYMENT_WINDOW", "24h"),
];

const KILLS: usize = 5;

/// How many orders are placed; more by `SHOP_TEST_ORDERS`.
fn how_many() -> usize {
    std::env::var("SHOP_TEST_ORDERS").map_or(120, |orders| orders.parse().unwrap())
}

/// What a customer does about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mind {
    Pay,
    FailAndPay,
    Fail,
    Cancel,
    CancelAndPay,
    /// Both at once.
    PayAndCancel,
    PayTwice,
    Forget,
}

impl Mind {
    fn of(rng: &Rng) -> Mind {
        match rng.below(100) {
            0..55 => Mind::Pay,
            55..61 => Mind::FailAndPay,
            61..68 => Mind::Fail,
            68..76 => Mind::Cancel,
            76..85 => Mind::CancelAndPay,
            85..92 => Mind::PayAndCancel,
            92..96 => Mind::PayTwice,
            _ => Mind::Forget,
        }
    }
}

/// What the shop said when it was asked to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    NotAsked,
    Yes,
    No,
    /// No, but an earlier try was not answered.
    Unknown,
}

/// An order as its customer knows it.
struct Known {
    order: Value,
    cancelled: Word,
}

/// What everybody sees.
struct Load {
    razorpay: Razorpay,
    products: [String; 3],
    /// How many orders are still to be placed.
    wanted: AtomicUsize,
    /// How many are dealt with.
    done: watch::Sender<usize>,
}

struct Customer {
    patient: Patient,
    load: Arc<Load>,
    rng: Rng,
    known: Vec<Known>,
}

impl Customer {
    /// Sees to it that there is just this in the cart; what became of a try without an answer is not
    /// known, so it is set before it is added.
    async fn fills_cart(&mut self, product: &str, quantity: u64) {
        let json = [("content-type", "application/json")];
        let line = format!("/cart/items/{product}");
        let set = json!({ "quantity": quantity }).to_string();
        let add = json!({ "productId": product, "quantity": quantity }).to_string();
        loop {
            let set = self
                .patient
                .call(Method::PATCH, &line, &json, set.as_bytes());
            if set.await.0.status == 200 {
                return;
            }
            let add = self
                .patient
                .call(Method::POST, "/cart", &json, add.as_bytes());
            let (added, is_unsure) = add.await;
            assert_eq!(added.status, 200, "{added:?}");
            if !is_unsure {
                return;
            }
        }
    }

    async fn orders(&mut self, number: usize) -> Value {
        let product = self.load.products[number % 3].clone();
        let quantity = 1 + self.rng.below(3);
        self.fills_cart(&product, quantity).await;
        let key = format!("key-{number}");
        let headers = [("idempotency-key", key.as_str())];
        let placed = self.patient.call(Method::POST, "/orders", &headers, b"");
        let (placed, _) = placed.await;
        assert_eq!(placed.status, 201, "{placed:?}");
        placed.json()
    }

    /// Does what comes to mind; tells what the shop said to a wish to cancel.
    async fn deals_with(&mut self, order: &Value) -> Word {
        let mut postman = self.patient.clone();
        postman.token = None;
        let razorpay = &self.load.razorpay;
        let mut cancelled = Word::NotAsked;
        match Mind::of(&self.rng) {
            Mind::Pay => razorpay.visited(order, false).await,
            Mind::Fail => razorpay.visited(order, true).await,
            Mind::FailAndPay => {
                razorpay.visited(order, true).await;
                razorpay.visited(order, false).await;
            }
            Mind::PayTwice => {
                razorpay.visited(order, false).await;
                razorpay.visited(order, false).await;
            }
            Mind::Cancel => cancelled = cancels(&mut self.patient, order).await,
            Mind::CancelAndPay => {
                cancelled = cancels(&mut self.patient, order).await;
                razorpay.visited(order, false).await;
            }
            Mind::PayAndCancel => {
                razorpay.visited(order, false).await;
                let told = razorpay.delivers(&mut postman, false);
                (cancelled, ()) = tokio::join!(cancels(&mut self.patient, order), told);
            }
            Mind::Forget => {}
        }
        self.load.razorpay.delivers(&mut postman, false).await;
        cancelled
    }

    async fn shops(mut self) -> Customer {
        let next = |left: usize| left.checked_sub(1);
        let load = Arc::clone(&self.load);
        while let Ok(number) = load
            .wanted
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
        {
            let order = self.orders(number).await;
            let cancelled = self.deals_with(&order).await;
            self.known.push(Known { order, cancelled });
            load.done.send_modify(|done| *done += 1);
        }
        self
    }

    /// Fails the test unless everything is as customer, shop and provider have it; adds up what was sold.
    async fn is_content(&mut self, sum: &mut Sum) {
        for known in std::mem::take(&mut self.known) {
            let path = format!("/orders/{}", known.order["id"].as_str().unwrap());
            let shown = self.patient.call(Method::GET, &path, &[], b"").await.0;
            assert_eq!(shown.status, 200, "{shown:?}");
            sum.add(&known, &shown.json(), &self.load.razorpay);
        }
    }
}

async fn cancels(patient: &mut Patient, order: &Value) -> Word {
    let path = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
    match patient.call(Method::POST, &path, &[], b"").await {
        (answer, _) if answer.status == 200 => Word::Yes,
        (answer, is_unsure) => {
            answer.is_problem(409, "illegal-transition");
            if is_unsure { Word::Unknown } else { Word::No }
        }
    }
}

/// What all orders come to.
#[derive(Default)]
struct Sum {
    /// By product, what customers keep.
    sold: BTreeMap<String, i64>,
    /// How many stand so: order and payment.
    states: BTreeMap<String, usize>,
    /// Payments that pay for an order, and those that come on top.
    transactions: BTreeSet<String>,
    too_many: BTreeSet<String>,
}

impl Sum {
    /// Holds an order to what its customer asked for and what its provider has in the books.
    fn add(&mut self, known: &Known, shown: &Value, razorpay: &Razorpay) {
        let order = &known.order;
        let mut account = razorpay.account(order);
        let (is_cancelled, is_paid) =
            (shown["status"] == "CANCELLED", !account.captured.is_empty());
        match known.cancelled {
            Word::NotAsked => assert!(!is_cancelled, "nobody wanted that: {shown}"),
            Word::Yes => assert!(is_cancelled, "it was cancelled once: {shown}"),
            Word::No => assert!(!is_cancelled && is_paid, "it was paid: {shown}"),
            Word::Unknown => {}
        }
        let total = order["totalAmount"].as_i64().unwrap();
        let unpaid = ["CREATED", "FAILED"][usize::from(account.has_failed)];
        let (status, payment, back) = match (is_cancelled, is_paid) {
            (false, false) => ("PENDING", unpaid, 0),
            (false, true) => ("PAID", "CAPTURED", 0),
            (true, false) => ("CANCELLED", unpaid, 0),
            (true, true) => ("CANCELLED", "REFUNDED", total),
        };
        assert_eq!(shown["status"], status, "{shown}");
        let money = &shown["payment"];
        assert_eq!(money["status"], payment, "{shown}");
        assert_eq!(money["amount"], total);
        assert_eq!(money["refundedAmount"], back, "{shown}");
        let refunds = money["refunds"].as_array().unwrap();
        assert_eq!(refunds.len(), usize::from(back > 0), "{shown}");
        if let Some(transaction) = money["transactionId"].as_str() {
            assert!(account.captured.remove(transaction), "{shown}");
            assert!(self.transactions.insert(transaction.to_owned()));
        } else {
            assert!(!is_paid, "{shown}");
        }
        self.too_many.append(&mut account.captured);
        *self
            .states
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

/// Kills the server again and again on the way.
async fn kill(
    site: &Site,
    mut process: Process,
    load: &Load,
    door: &watch::Sender<Remote>,
) -> Process {
    let (mut done, orders) = (load.done.subscribe(), how_many());
    for kill in 1..=KILLS {
        let enough = orders * kill / (KILLS + 1);
        let reached = done.wait_for(|done| *done >= enough);
        let reached = tokio::time::timeout(PATIENCE * 10, reached).await;
        drop(reached.expect("the customers do not get on").unwrap());
        process.kill();
        process = site.start_with(&LONG);
        door.send_replace(Remote::new(&process));
    }
    process
}

storage_test! {
    async fn every_order_ends_as_its_payments_imply(site: Site) {
        let products = ["Kettle", "Mug", "Plate"].map(|name| site.product(name, 129_900, STOCK));
        let process = site.start_with(&LONG);
        let shop = site.beside_itself().await;
        let (door, doors) = watch::channel(Remote::new(&process));
        let load = Arc::new(Load {
            razorpay: Razorpay::new(Arc::clone(&shop), Rng::seeded(5)),
            products,
            wanted: AtomicUsize::new(how_many()),
            done: watch::Sender::new(0),
        });
        let visitor = doors.borrow().clone();
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            let name = format!("customer{number}");
            let token = visitor.registered(&name).await.token;
            let customer = Customer {
                patient: Patient { token, door: doors.clone() },
                load: Arc::clone(&load),
                rng: Rng::seeded(number.try_into().unwrap()),
                known: Vec::new(),
            };
            customers.push(tokio::spawn(customer.shops()));
        }
        // A customer who fails the test fails it at once.
        let customers = futures_util::future::try_join_all(customers);
        let killed = async { Ok(kill(&site, process, &load, &door).await) };
        let (process, customers) = tokio::try_join!(killed, customers).unwrap();

        let mut postman = Patient { token: None, door: doors };
        load.razorpay.delivers(&mut postman, true).await;
        let mischief = load.razorpay.mischief();
        let reconciled = settlement::reconcile(&shop, |_| ()).await.unwrap();
        assert_eq!(reconciled.compared, how_many());
        assert_eq!(reconciled.troubles, <[String; 0]>::default());
        let again = settlement::reconcile(&shop, |_| ()).await.unwrap();
        let found =
            [again.captured, again.failed, again.refunded, again.unmatched, again.duplicates];
        assert_eq!(found, [0; 5], "what was found once is known");

        let mut sum = Sum::default();
        for mut customer in customers {
            customer.is_content(&mut sum).await;
        }
        assert_eq!(sum.states.values().sum::<usize>(), how_many());
        assert!(sum.transactions.is_disjoint(&sum.too_many), "each is paid once");
        let raw = site.raw_db();
        raw.assert_sound();
        is_verified(&site.run(&["verify"]));
        assert_eq!(raw.number("SELECT count(*) FROM orders"), i64::try_from(how_many()).unwrap());
        let ids = |outcome: &str| {
            let rows = raw.rows(&format!(
                "SELECT provider_payment_id FROM payment_events WHERE outcome LIKE '{outcome}'"
            ));
            let mut ids: Vec<_> = rows.concat().into_iter().flatten().collect();
            ids.sort();
            ids
        };
        assert!(ids("captured").iter().eq(&sum.transactions), "each is captured once");
        assert!(ids("duplicate").iter().eq(&sum.too_many), "each of the others is known once");
        assert_eq!(ids("unmatched%"), Vec::<String>::new());
        let back = raw.rows(
            "SELECT transaction_id FROM refunds
             WHERE transaction_id IS NOT NULL AND status = 'PROCESSED' ORDER BY transaction_id",
        );
        let back = back.into_iter().flatten().flatten();
        assert!(back.eq(sum.too_many), "each of the others goes back once");
        for product in &load.products {
            let path = format!("/products/{product}");
            let shown = postman.call(Method::GET, &path, &[], b"").await.0;
            let sold = sum.sold.get(product).copied().unwrap_or_default();
            assert_eq!(shown.number("/stockQuantity"), STOCK - sold);
        }
        let told = format!("{mischief}; {reconciled:?}; {:?}\n", sum.states);
        std::io::stderr().write_all(told.as_bytes()).unwrap();
        drop(process);
        shop.stopping.cancel();
        shop.db.close().await;
    }
}
