//! Runs a scenario in the shop and in the model, and compares the two after each step.

use std::time::Duration;

use serde_json::{Value, json};
use shop::{
    core::money::Money,
    domain::settlement,
    infra::ports::gateway::{SimulatedCheckout, Webhook},
};

use super::{
    model::{Model, Outcome, PRICES, PaymentEvent, STOCK},
    step::{Amount, Arrival, Step},
};
use crate::support::{Client, TestResponse, TestShop, shopping::path};

/// A scenario: the shop, the model, and the state of the payment provider.
pub(super) struct Scenario {
    shop: Option<TestShop>,
    model: Model,
    products: [String; 2],
    orders: Vec<Value>,
    /// All events of this scenario that the provider has on record.
    recorded: Vec<PaymentEvent>,
    /// Webhooks that are delayed.
    pending: Vec<(Webhook, PaymentEvent)>,
    delivered: Vec<(Webhook, PaymentEvent)>,
}

impl Scenario {
    /// Starts a scenario in a shop that may have seen others; `now` is the time since the shop's start.
    pub(super) async fn start(shop: TestShop, now: Duration) -> Scenario {
        let mut products = [String::new(), String::new()];
        for (product, price) in products.iter_mut().zip(PRICES) {
            *product = shop.product("Thing", price, STOCK).await;
        }
        Scenario {
            shop: Some(shop),
            model: Model::new(now),
            products,
            orders: Vec::new(),
            recorded: Vec::new(),
            pending: Vec::new(),
            delivered: Vec::new(),
        }
    }

    /// Returns the shop and the time since its start.
    pub(super) fn end(self) -> (TestShop, Duration) {
        (self.shop.unwrap(), self.model.now)
    }

    fn shop(&self) -> &TestShop {
        self.shop.as_ref().unwrap()
    }

    /// Returns the index of an order, or `None` without orders.
    fn pick(&self, order: usize) -> Option<usize> {
        order.checked_rem(self.orders.len())
    }

    /// Performs a step in the shop and in the model.
    pub(super) async fn perform(&mut self, step: Step) {
        match step {
            Step::CheckOut { quantities } => self.checkout(quantities).await,
            Step::Pay {
                order,
                visit,
                arrival,
            } => {
                if let Some(order) = self.pick(order) {
                    self.pay(order, visit, arrival).await;
                }
            }
            Step::Deliver { which } => {
                if let Some(which) = which.checked_rem(self.pending.len()) {
                    let webhook = self.pending.remove(which);
                    self.deliver(webhook).await;
                }
            }
            Step::Redeliver { which } => {
                if let Some(which) = which.checked_rem(self.delivered.len()) {
                    let webhook = self.delivered[which].clone();
                    self.deliver(webhook).await;
                }
            }
            Step::WrongAmount { order } => {
                if let Some(order) = self.pick(order) {
                    self.report_wrong_amount(order).await;
                }
            }
            Step::Cancel { .. } | Step::SetStatus { .. } | Step::Refund { .. } => {
                self.change_order(step).await;
            }
            Step::Wait { minutes } => {
                let span = Duration::from_mins(minutes);
                self.shop().advance_clock(span);
                self.model.now += span;
                settlement::expire_due(&self.shop().app).await.unwrap();
                self.model.expire();
            }
            Step::Reconcile => self.reconcile().await,
            Step::Crash => {
                let shop = self.shop.take().unwrap().restarted().await;
                shop.advance_clock(self.model.now);
                self.shop = Some(shop);
            }
        }
    }

    async fn checkout(&mut self, quantities: [i64; 2]) {
        let ada = self.shop().customer("ada").await;
        ada.delete("/cart").await;
        for (product, count) in self.products.iter().zip(quantities) {
            // The cart refuses a product without enough stock.
            let body = json!({ "productId": product, "quantity": count });
            if count > 0 && ada.post("/cart", body).await.status != 200 {
                let outcome = self.model.checkout(quantities);
                assert_eq!(outcome, Err("insufficient-stock"));
                return;
            }
        }
        let placed = ada.checkout().await;
        drop(ada);
        assert_outcome(&placed, 201, self.model.checkout(quantities));
        if placed.status == 201 {
            self.orders.push(placed.json());
        }
    }

    async fn pay(&mut self, order: usize, visit: SimulatedCheckout, arrival: Arrival) {
        let id = self.orders[order]["payment"]["providerOrderId"].clone();
        let amount = Money::try_from(self.model.orders[order].total()).unwrap();
        let payment = self
            .shop()
            .app
            .db
            .write("mock.pay", move |tx| {
                visit.play(tx, id.as_str().unwrap(), amount, "INR")
            })
            .await
            .unwrap();
        for webhook in payment.webhooks {
            let body: Value = serde_json::from_slice(&webhook.body).unwrap();
            let payment = &body["payload"]["payment"]["entity"];
            let event = PaymentEvent {
                order,
                payment: payment["id"].as_str().unwrap().to_owned(),
                amount: payment["amount"].as_i64().unwrap(),
                is_captured: body["event"] != "payment.failed",
            };
            if !self.recorded.contains(&event) {
                self.recorded.push(event.clone());
            }
            match arrival {
                Arrival::Now => self.deliver((webhook, event)).await,
                Arrival::Later => self.pending.push((webhook, event)),
                Arrival::Never => {}
            }
        }
    }

    async fn deliver(&mut self, (webhook, event): (Webhook, PaymentEvent)) {
        let answer = self.shop().deliver(&webhook.body, &webhook.event_id).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.model.process(&event);
        if !self.delivered.iter().any(|(_, known)| *known == event) {
            self.delivered.push((webhook, event));
        }
    }

    /// Delivers an event with one paisa too much, for a pending payment or an unknown one.
    async fn report_wrong_amount(&mut self, order: usize) {
        let is_pending =
            |(_, event): &&(Webhook, PaymentEvent)| event.order == order && event.is_captured;
        let payment = match self.pending.iter().find(is_pending) {
            Some((_, event)) => event.payment.clone(),
            None => format!(
                "pay_misread{:?}{}",
                self.model.now, self.orders[order]["number"]
            ),
        };
        let event = PaymentEvent {
            order,
            payment,
            amount: self.model.orders[order].total() + 1,
            is_captured: true,
        };
        let body = json!({
            "event": "payment.captured",
            "payload": { "payment": { "entity": {
                "id": event.payment,
                "amount": event.amount,
                "currency": "INR",
                "order_id": self.orders[order]["payment"]["providerOrderId"],
            } } },
        });
        let webhook = Webhook {
            event_id: "ev_misread".to_owned(),
            body: body.to_string().into(),
        };
        self.deliver((webhook, event)).await;
    }

    /// A customer or an admin changes an order, if there is one.
    async fn change_order(&mut self, step: Step) {
        let (Step::Cancel { order } | Step::SetStatus { order, .. } | Step::Refund { order, .. }) =
            step
        else {
            unreachable!("{step:?} changes no order");
        };
        let Some(order) = self.pick(order) else {
            return;
        };
        let path = path(&self.orders[order]);
        let shop = self.shop();
        let (answer, outcome) = match step {
            Step::SetStatus { to, .. } => {
                let admin = shop.admin().await;
                let body = json!({ "status": to });
                let answer = admin.patch(&format!("/admin{path}"), body).await;
                drop(admin);
                (answer, self.model.set_status(order, to))
            }
            Step::Refund {
                amount, restock, ..
            } => {
                let expected = &self.model.orders[order];
                let amount = match amount {
                    Amount::Refundable => None,
                    Amount::Total => Some(expected.total()),
                    Amount::Part => Some((expected.refundable() / 3).max(1)),
                    Amount::TooMuch => Some(expected.refundable() + 1),
                };
                let admin = shop.admin().await;
                let mut body = json!({ "restock": restock });
                if let Some(amount) = amount {
                    body["amount"] = json!(amount);
                }
                let answer = admin.post(&format!("/admin{path}/refund"), body).await;
                drop(admin);
                (answer, self.model.refund(order, amount, restock))
            }
            _ => {
                let ada = shop.customer("ada").await;
                let answer = ada.post(&format!("{path}/cancel"), Value::Null).await;
                drop(ada);
                (answer, self.model.cancel(order))
            }
        };
        assert_outcome(&answer, 200, outcome);
    }

    /// Reconciles the shop with the provider's payments. The shop may find two payments of an order in any order,
    /// so the model processes the one first that the shop has accepted.
    async fn reconcile(&mut self) {
        let app = &self.shop().app;
        let reconciled = settlement::reconcile(app, |_| ()).await.unwrap();
        assert_eq!(reconciled.failures, <[String; 0]>::default());
        let admin = self.shop().admin().await;
        let mut accepted = Vec::new();
        for order in &self.orders {
            let shown = admin.get(&format!("/admin{}", path(order))).await.json();
            accepted.push(shown["payment"]["transactionId"].clone());
        }
        drop(admin);
        let is_accepted = |event: &PaymentEvent| accepted[event.order] == event.payment.as_str();
        let (first, others): (Vec<_>, Vec<_>) =
            self.recorded.iter().partition(|event| is_accepted(event));
        for event in first.into_iter().chain(others) {
            self.model.process(event);
        }
    }

    /// Fails the test unless the shop matches the model.
    pub(super) async fn assert_matches_model(&self) {
        let shop = self.shop();
        let admin = shop.admin().await;
        for (order, known) in self.orders.iter().zip(&self.model.orders) {
            let shown = admin.get(&format!("/admin{}", path(order))).await.json();
            let payment = &shown["payment"];
            let refunds = payment["refunds"].as_array().unwrap().iter();
            let mut refunds: Vec<_> = refunds
                .map(|refund| {
                    assert_eq!(refund["status"], "PROCESSED", "{shown}");
                    refund["amount"].as_i64().unwrap()
                })
                .collect();
            let mut expected = known.refunds.clone();
            refunds.sort_unstable();
            expected.sort_unstable();
            assert_eq!(refunds, expected, "{shown}");
            let actual = json!([
                shown["status"],
                payment["status"],
                payment["transactionId"],
                payment["amount"],
                payment["refundedAmount"],
            ]);
            let expected = json!([
                known.status,
                known.payment,
                known.transaction,
                known.total(),
                known.refunded(),
            ]);
            assert_eq!(actual, expected, "{shown}");
        }
        for (product, stock) in self.products.iter().zip(self.model.stock) {
            assert_eq!(shop.stock(product).await, stock, "stock");
        }
        self.assert_unmatched_payments(&admin).await;
    }

    /// Fails the test unless every duplicate payment was refunded once.
    pub(super) fn assert_duplicates_refunded(&self) {
        let rows = self.shop().raw_db().rows(
            "SELECT transaction_id, amount FROM refunds
             WHERE transaction_id IS NOT NULL AND status = 'PROCESSED' ORDER BY transaction_id",
        );
        for (payment, amount) in &self.model.duplicates {
            let expected = [Some(payment.clone()), Some(amount.to_string())];
            let found = rows.iter().filter(|row| **row == expected);
            assert_eq!(found.count(), 1, "{payment} among {rows:?}");
        }
    }

    /// Fails the test unless the admin's list has every unmatched payment once.
    async fn assert_unmatched_payments(&self, admin: &Client<'_>) {
        let listed = admin
            .get("/admin/payments?status=unmatched&limit=100")
            .await;
        let listed = listed.json();
        let ids: Vec<_> = self.orders.iter().map(|order| &order["id"]).collect();
        let own = listed["data"].as_array().unwrap().iter();
        let own = own.filter(|entry| ids.contains(&&entry["orderId"]));
        let mut seen: Vec<_> = own
            .map(|entry| entry["transactionId"].as_str().unwrap())
            .collect();
        seen.sort_unstable();
        assert!(
            seen.into_iter().eq(&self.model.unmatched),
            "unmatched: {listed}"
        );
    }
}

/// Fails the test unless the shop's response matches the model's outcome.
#[track_caller]
fn assert_outcome(answer: &TestResponse, success: u16, outcome: Outcome) {
    match outcome {
        Ok(()) => assert_eq!(answer.status, success, "{answer:?}"),
        Err(code) => answer.assert_problem(409, code),
    }
}
