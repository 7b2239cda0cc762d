//! A flaky payment provider for the real program: webhooks get lost, repeated, reordered and delayed. Its list of
//! payments is that of the mock provider, and stays correct.

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
    infra::ports::gateway::{SimulatedCheckout, Webhook, razorpay::signature},
};
use tokio::{sync::watch, time::Instant};

use crate::support::{Remote, TestResponse, provider::WEBHOOK};

/// How long the shop may be unavailable before the test fails.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a client waits for a new server after a connection error.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A client that repeats a request until the shop responds, at its current address.
#[derive(Clone)]
pub(super) struct RetryingClient {
    pub(super) token: Option<String>,
    pub(super) address: watch::Receiver<Remote>,
}

impl RetryingClient {
    /// Returns the response, and whether an earlier attempt may have succeeded, too.
    pub(super) async fn call(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (TestResponse, bool) {
        let deadline = Instant::now() + RESPONSE_TIMEOUT;
        let mut is_uncertain = false;
        loop {
            assert!(Instant::now() < deadline, "the shop does not respond");
            let mut shop = self.address.borrow_and_update().clone();
            shop.token.clone_from(&self.token);
            match shop
                .call(method.clone(), path, headers, body.to_vec())
                .await
            {
                Ok(answer) if answer.status == 503 => answer.assert_problem(503, "unavailable"),
                Ok(answer) => return (answer, is_uncertain),
                Err(_) => {
                    // A killed server gets replaced.
                    drop(tokio::time::timeout(RETRY_PAUSE, self.address.changed()).await);
                }
            }
            is_uncertain = true;
        }
    }
}

/// The payments of one of the provider's orders.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// The ids of captured payments.
    pub(super) captured: BTreeSet<String>,
    pub(super) has_failed: bool,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<String, Account>,
    /// Webhooks by the time of their arrival and of their sending, both as numbers of sent webhooks.
    outbox: BTreeMap<(usize, usize), Webhook>,
    /// The number of sent webhooks.
    sent: usize,
    lost: usize,
    repeated: usize,
    reordered: usize,
    delayed: usize,
}

/// The provider.
pub(super) struct FlakyProvider {
    /// A second instance of the shop in this process, for its secrets and the mock provider's data.
    shop: Arc<App>,
    rng: Rng,
    state: Mutex<State>,
}

impl FlakyProvider {
    pub(super) fn new(shop: Arc<App>, rng: Rng) -> FlakyProvider {
        let state = Mutex::default();
        FlakyProvider { shop, rng, state }
    }

    /// A customer pays for an order, or fails to. The webhooks are queued.
    pub(super) async fn pay(&self, order: &Value, fails: bool) {
        let visit = SimulatedCheckout {
            fails,
            fails_first: self.rng.below(10) == 0,
            ..SimulatedCheckout::default()
        };
        let id = order["payment"]["providerOrderId"].as_str().unwrap();
        let (name, total) = (id.to_owned(), order["totalAmount"].as_i64().unwrap());
        let total = Money::try_from(total).unwrap();
        let payment = self
            .shop
            .db
            .write("mock.pay", move |tx| visit.play(tx, &name, total, "INR"))
            .await
            .unwrap();
        let mut state = self.state.lock().unwrap();
        let account = state.accounts.entry(id.to_owned()).or_default();
        account.has_failed |= visit.fails || visit.fails_first;
        if !fails {
            account.captured.insert(payment.payment_id);
        }
        if self.rng.below(20) == 0 {
            // All of its webhooks get lost.
            state.sent += payment.webhooks.len();
            state.lost += payment.webhooks.len();
            return;
        }
        for webhook in payment.webhooks {
            self.enqueue(&mut state, webhook);
        }
    }

    /// Queues a webhook; it may get lost, delayed or repeated.
    fn enqueue(&self, state: &mut State, webhook: Webhook) {
        let one_in = |times| self.rng.below(times) == 0;
        let up_to = |end| usize::try_from(self.rng.below(end)).unwrap();
        let number = state.sent;
        state.sent += 1;
        if one_in(20) {
            state.lost += 1;
            return;
        }
        let mut arrival = number;
        if one_in(5) {
            state.reordered += 1;
            arrival += 2 + up_to(20);
        }
        if one_in(10) {
            state.delayed += 1;
            arrival += up_to(300);
        }
        if one_in(5) {
            state.repeated += 1;
            let again = (arrival + 1 + up_to(100), number);
            state.outbox.insert(again, webhook.clone());
        }
        state.outbox.insert((arrival, number), webhook);
    }

    /// Delivers the webhooks that are due, or all of them.
    pub(super) async fn deliver(&self, client: &mut RetryingClient, all: bool) {
        while let Some(webhook) = self.next(all) {
            let signature = signature::sign(&self.shop.webhook_secrets[0], &webhook.body);
            let headers = [
                ("content-type", "application/json"),
                ("x-razorpay-signature", signature.as_str()),
                ("x-razorpay-event-id", webhook.event_id.as_str()),
            ];
            let delivery = client.call(Method::POST, WEBHOOK, &headers, &webhook.body);
            let (answer, _) = delivery.await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }

    fn next(&self, all: bool) -> Option<Webhook> {
        let mut state = self.state.lock().unwrap();
        let now = state.sent;
        let first = state.outbox.first_entry()?;
        (all || first.key().0 < now).then(|| first.remove())
    }

    /// Returns the payments of an order.
    pub(super) fn account(&self, order: &Value) -> Account {
        let id = order["payment"]["providerOrderId"].as_str().unwrap();
        let state = self.state.lock().unwrap();
        state.accounts.get(id).cloned().unwrap_or_default()
    }

    /// Returns a summary of the disturbances. Fails the test if one of them never happened.
    pub(super) fn disturbances(&self) -> String {
        let state = self.state.lock().unwrap();
        let mut summary = format!("{} webhooks", state.sent);
        for (what, count) in [
            ("lost", state.lost),
            ("repeated", state.repeated),
            ("reordered", state.reordered),
            ("delayed", state.delayed),
        ] {
            assert!(count > 0, "no webhook was {what}");
            // Writing into a `String` cannot fail.
            let _ = write!(summary, ", {count} {what}");
        }
        summary
    }
}
