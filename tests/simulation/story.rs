//! A story, told to the shop and to the model of it; after each step the two agree.

use std::time::Duration;

use serde_json::{Value, json};
use shop::{
    core::money::Money,
    domain::settlement,
    infra::ports::gateway::{Visit, Webhook},
};

use super::{
    model::{Model, News, PRICES, STOCK, Word},
    step::{Arrival, Step, Sum},
};
use crate::support::{Answer, Client, TestShop, shopping::path};

/// A shop, the model of what happens in one story, and what the provider holds ready.
pub(super) struct Story {
    shop: Option<TestShop>,
    model: Model,
    products: [String; 2],
    orders: Vec<Value>,
    /// What the provider's books tell of this story.
    books: Vec<News>,
    under_way: Vec<(Webhook, News)>,
    arrived: Vec<(Webhook, News)>,
}

impl Story {
    /// Begins in a shop where others may have been told, at `now` since its clock began.
    pub(super) async fn begin(shop: TestShop, now: Duration) -> Story {
        let mut products = [String::new(), String::new()];
        for (product, price) in products.iter_mut().zip(PRICES) {
            *product = shop.product("Thing", price, STOCK).await;
        }
        Story {
            shop: Some(shop),
            model: Model::new(now),
            products,
            orders: Vec::new(),
            books: Vec::new(),
            under_way: Vec::new(),
            arrived: Vec::new(),
        }
    }

    /// Gives the shop back, and how late it is there.
    pub(super) fn end(self) -> (TestShop, Duration) {
        (self.shop.unwrap(), self.model.now)
    }

    fn shop(&self) -> &TestShop {
        self.shop.as_ref().unwrap()
    }

    /// One of the orders, if there are any.
    fn pick(&self, order: usize) -> Option<usize> {
        order.checked_rem(self.orders.len())
    }

    pub(super) async fn goes_on(&mut self, step: Step) {
        match step {
            Step::CheckOut { pieces } => self.checkout(pieces).await,
            Step::Pay {
                order,
                visit,
                arrival,
            } => {
                if let Some(order) = self.pick(order) {
                    self.pays(order, visit, arrival).await;
                }
            }
            Step::Arrive { which } => {
                if let Some(which) = which.checked_rem(self.under_way.len()) {
                    let webhook = self.under_way.remove(which);
                    self.arrives(webhook).await;
                }
            }
            Step::Repeat { which } => {
                if let Some(which) = which.checked_rem(self.arrived.len()) {
                    let webhook = self.arrived[which].clone();
                    self.arrives(webhook).await;
                }
            }
            Step::Misread { order } => {
                if let Some(order) = self.pick(order) {
                    self.misreads(order).await;
                }
            }
            Step::Cancel { .. } | Step::Move { .. } | Step::Refund { .. } => {
                self.is_changed(step).await;
            }
            Step::Pass { minutes } => {
                let span = Duration::from_mins(minutes);
                self.shop().advance_clock(span);
                self.model.now += span;
                settlement::expire_due(&self.shop().app).await.unwrap();
                self.model.expires();
            }
            Step::Reconcile => self.reconciles().await,
            Step::Crash => {
                let shop = self.shop.take().unwrap().restarted().await;
                shop.advance_clock(self.model.now);
                self.shop = Some(shop);
            }
        }
    }

    async fn checkout(&mut self, pieces: [i64; 2]) {
        let ada = self.shop().customer("ada").await;
        ada.delete("/cart").await;
        for (product, count) in self.products.iter().zip(pieces) {
            // What is not to be had cannot even be put into the cart.
            let body = json!({ "productId": product, "quantity": count });
            if count > 0 && ada.post("/cart", body).await.status != 200 {
                let word = self.model.checkout(pieces);
                assert_eq!(word, Err("insufficient-stock"));
                return;
            }
        }
        let placed = ada.checkout().await;
        drop(ada);
        agree(&placed, 201, self.model.checkout(pieces));
        if placed.status == 201 {
            self.orders.push(placed.json());
        }
    }

    async fn pays(&mut self, order: usize, visit: Visit, arrival: Arrival) {
        let id = self.orders[order]["payment"]["providerOrderId"].clone();
        let amount = Money::try_from(self.model.orders[order].total()).unwrap();
        let played = self
            .shop()
            .app
            .db
            .write("mock.pay", move |tx| {
                visit.play(tx, id.as_str().unwrap(), amount, "INR")
            })
            .await
            .unwrap();
        for webhook in played.webhooks {
            let told: Value = serde_json::from_slice(&webhook.body).unwrap();
            let payment = &told["payload"]["payment"]["entity"];
            let news = News {
                order,
                payment: payment["id"].as_str().unwrap().to_owned(),
                amount: payment["amount"].as_i64().unwrap(),
                is_captured: told["event"] != "payment.failed",
            };
            if !self.books.contains(&news) {
                self.books.push(news.clone());
            }
            match arrival {
                Arrival::Now => self.arrives((webhook, news)).await,
                Arrival::Later => self.under_way.push((webhook, news)),
                Arrival::Never => {}
            }
        }
    }

    async fn arrives(&mut self, (webhook, news): (Webhook, News)) {
        let answer = self.shop().deliver(&webhook.body, &webhook.event_id).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.model.hears(&news);
        if !self.arrived.iter().any(|(_, known)| *known == news) {
            self.arrived.push((webhook, news));
        }
    }

    /// A paisa too much, under the name of a payment that is under way, or of none.
    async fn misreads(&mut self, order: usize) {
        let under_way = |(_, news): &&(Webhook, News)| news.order == order && news.is_captured;
        let payment = match self.under_way.iter().find(under_way) {
            Some((_, news)) => news.payment.clone(),
            None => format!(
                "pay_misread{:?}{}",
                self.model.now, self.orders[order]["number"]
            ),
        };
        let news = News {
            order,
            payment,
            amount: self.model.orders[order].total() + 1,
            is_captured: true,
        };
        let event = json!({
            "event": "payment.captured",
            "payload": { "payment": { "entity": {
                "id": news.payment,
                "amount": news.amount,
                "currency": "INR",
                "order_id": self.orders[order]["payment"]["providerOrderId"],
            } } },
        });
        let webhook = Webhook {
            event_id: "ev_misread".to_owned(),
            body: event.to_string().into(),
        };
        self.arrives((webhook, news)).await;
    }

    /// Customer or admin change an order, if there is one and if they may.
    async fn is_changed(&mut self, step: Step) {
        let (Step::Cancel { order } | Step::Move { order, .. } | Step::Refund { order, .. }) = step
        else {
            unreachable!("{step:?} changes no order");
        };
        let Some(order) = self.pick(order) else {
            return;
        };
        let path = path(&self.orders[order]);
        let shop = self.shop();
        let (answer, word) = match step {
            Step::Move { to, .. } => {
                let admin = shop.admin().await;
                let body = json!({ "status": to });
                let answer = admin.patch(&format!("/admin{path}"), body).await;
                drop(admin);
                (answer, self.model.moves(order, to))
            }
            Step::Refund { how, restock, .. } => {
                let known = &self.model.orders[order];
                let amount = match how {
                    Sum::Rest => None,
                    Sum::All => Some(known.total()),
                    Sum::Part => Some((known.rest() / 3).max(1)),
                    Sum::More => Some(known.rest() + 1),
                };
                let admin = shop.admin().await;
                let mut body = json!({ "restock": restock });
                if let Some(amount) = amount {
                    body["amount"] = json!(amount);
                }
                let answer = admin.post(&format!("/admin{path}/refund"), body).await;
                drop(admin);
                (answer, self.model.refunds(order, amount, restock))
            }
            _ => {
                let ada = shop.customer("ada").await;
                let answer = ada.post(&format!("{path}/cancel"), Value::Null).await;
                drop(ada);
                (answer, self.model.cancels(order))
            }
        };
        agree(&answer, 200, word);
    }

    /// The shop reads the provider's books. Which of two payments it finds first is its own affair.
    async fn reconciles(&mut self) {
        let app = &self.shop().app;
        let reconciled = settlement::reconcile(app, |_| ()).await.unwrap();
        assert_eq!(reconciled.troubles, <[String; 0]>::default());
        let admin = self.shop().admin().await;
        let mut firsts = Vec::new();
        for order in &self.orders {
            let shown = admin.get(&format!("/admin{}", path(order))).await.json();
            firsts.push(shown["payment"]["transactionId"].clone());
        }
        drop(admin);
        let is_first = |news: &News| firsts[news.order] == news.payment.as_str();
        let (first, others): (Vec<_>, Vec<_>) = self.books.iter().partition(|news| is_first(news));
        for news in first.into_iter().chain(others) {
            self.model.hears(news);
        }
    }

    /// Fails the test unless the shop is as the model says.
    pub(super) async fn agrees(&self) {
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
            let seen = json!([
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
            assert_eq!(seen, expected, "{shown}");
        }
        for (product, stock) in self.products.iter().zip(self.model.stock) {
            assert_eq!(shop.stock(product).await, stock, "stock");
        }
        self.seen_are_unmatched(&admin).await;
    }

    /// What was paid twice has gone back, once each.
    pub(super) fn duplicates_went_back(&self) {
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

    /// A person sees what fits no order, once each.
    async fn seen_are_unmatched(&self, admin: &Client<'_>) {
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

/// Fails the test unless the shop answered what the model did.
#[track_caller]
fn agree(answer: &Answer, done: u16, word: Word) {
    match word {
        Ok(()) => assert_eq!(answer.status, done, "{answer:?}"),
        Err(code) => answer.is_problem(409, code),
    }
}
