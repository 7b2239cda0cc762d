//! Razorpay on a bad day, towards the real program: webhooks get lost, repeated, out of order, and late.
//! The books are right all the same: they are the mock provider's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use serde_json::Value;
use shop::{
    app::App,
    core::{money::Money, rng::Rng},
    domain::payments::signature,
    infra::ports::gateway::{Visit, Webhook},
};
use tokio::{sync::watch, time::Instant};

use crate::support::{Answer, Remote, provider::WEBHOOK};

/// How long the shop may be away; past it the test has failed.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// How long somebody waits for another server, where the one that was asked does not answer.
const LOOK: Duration = Duration::from_millis(500);

/// Somebody who asks until the shop answers, wherever it may listen by then.
#[derive(Clone)]
pub(super) struct Patient {
    pub(super) token: Option<String>,
    pub(super) door: watch::Receiver<Remote>,
}

impl Patient {
    /// The shop's answer, and whether an earlier try may have been heard, too.
    pub(super) async fn call(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (Answer, bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut is_unsure = false;
        loop {
            assert!(Instant::now() < deadline, "the shop does not answer");
            let mut shop = self.door.borrow_and_update().clone();
            shop.token.clone_from(&self.token);
            match shop
                .call(method.clone(), path, headers, body.to_vec())
                .await
            {
                Ok(answer) if answer.status == 503 => answer.is_problem(503, "unavailable"),
                Ok(answer) => return (answer, is_unsure),
                Err(_) => {
                    // Whoever was killed is followed by another.
                    drop(tokio::time::timeout(LOOK, self.door.changed()).await);
                }
            }
            is_unsure = true;
        }
    }
}

/// What the provider knows of one of its orders.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// Ids of payments.
    pub(super) captured: BTreeSet<String>,
    pub(super) has_failed: bool,
}

#[derive(Default)]
struct Books {
    accounts: BTreeMap<String, Account>,
    /// What is on its way, by when it arrives and by when it was sent.
    outbox: BTreeMap<(usize, usize), Webhook>,
    /// How many were sent.
    sent: usize,
    lost: usize,
    repeated: usize,
    reordered: usize,
    delayed: usize,
}

pub(super) struct Razorpay {
    /// The shop beside the one that serves, for its secrets and for the mock's books.
    shop: Arc<App>,
    rng: Rng,
    books: Mutex<Books>,
}

impl Razorpay {
    pub(super) fn new(shop: Arc<App>, rng: Rng) -> Razorpay {
        let books = Mutex::default();
        Razorpay { shop, rng, books }
    }

    /// A customer pays for an order, or tries to; the webhooks are on their way.
    pub(super) async fn visited(&self, order: &Value, fails: bool) {
        let visit = Visit {
            fails,
            fails_first: self.rng.below(10) == 0,
            ..Visit::default()
        };
        let id = order["payment"]["providerOrderId"].as_str().unwrap();
        let (name, total) = (id.to_owned(), order["totalAmount"].as_i64().unwrap());
        let total = Money::try_from(total).unwrap();
        let played = self
            .shop
            .db
            .write("mock.pay", move |tx| visit.play(tx, &name, total, "INR"))
            .await
            .unwrap();
        let mut books = self.books.lock().unwrap();
        let account = books.accounts.entry(id.to_owned()).or_default();
        account.has_failed |= visit.fails || visit.fails_first;
        if !fails {
            account.captured.insert(played.payment_id);
        }
        if self.rng.below(20) == 0 {
            // Nothing of it arrives.
            books.sent += played.webhooks.len();
            books.lost += played.webhooks.len();
            return;
        }
        for webhook in played.webhooks {
            self.post(&mut books, webhook);
        }
    }

    /// Puts a webhook on its way, which is longer or shorter.
    fn post(&self, books: &mut Books, webhook: Webhook) {
        let one_in = |times| self.rng.below(times) == 0;
        let up_to = |most| usize::try_from(self.rng.below(most)).unwrap();
        let number = books.sent;
        books.sent += 1;
        if one_in(20) {
            books.lost += 1;
            return;
        }
        let mut arrives = number;
        if one_in(5) {
            books.reordered += 1;
            arrives += 2 + up_to(20);
        }
        if one_in(10) {
            books.delayed += 1;
            arrives += up_to(300);
        }
        if one_in(5) {
            books.repeated += 1;
            let again = (arrives + 1 + up_to(100), number);
            books.outbox.insert(again, webhook.clone());
        }
        books.outbox.insert((arrives, number), webhook);
    }

    /// Delivers what has arrived by now; with `all`, what is on its way as well.
    pub(super) async fn delivers(&self, by: &mut Patient, all: bool) {
        while let Some(webhook) = self.next(all) {
            let signature = signature::sign(&self.shop.webhook_secrets[0], &webhook.body);
            let headers = [
                ("content-type", "application/json"),
                ("x-razorpay-signature", signature.as_str()),
                ("x-razorpay-event-id", webhook.event_id.as_str()),
            ];
            let told = by.call(Method::POST, WEBHOOK, &headers, &webhook.body);
            let (answer, _) = told.await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }

    fn next(&self, all: bool) -> Option<Webhook> {
        let mut books = self.books.lock().unwrap();
        let now = books.sent;
        let first = books.outbox.first_entry()?;
        (all || first.key().0 < now).then(|| first.remove())
    }

    /// What it knows of an order.
    pub(super) fn account(&self, order: &Value) -> Account {
        let id = order["payment"]["providerOrderId"].as_str().unwrap();
        let books = self.books.lock().unwrap();
        books.accounts.get(id).cloned().unwrap_or_default()
    }

    /// What went wrong on purpose; all of it must have.
    pub(super) fn mischief(&self) -> String {
        let books = self.books.lock().unwrap();
        let mut said = format!("{} webhooks", books.sent);
        for (what, count) in [
            ("lost", books.lost),
            ("repeated", books.repeated),
            ("reordered", books.reordered),
            ("delayed", books.delayed),
        ] {
            assert!(count > 0, "none was {what}");
            // Writing into a `String` cannot fail.
            let _ = write!(said, ", {count} {what}");
        }
        said
    }
}
