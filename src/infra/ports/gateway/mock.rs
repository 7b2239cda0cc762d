//! Plays Razorpay for a shop that has no account there: ids of the same shape, at once, and books of its
//! own, which tell what happened even where no webhook did.

use futures_util::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::{Gateway, OrderToMake, RefundMade, RefundToMake, store};
use crate::{
    core::{clock::Timestamp, error::Result, money::Money, rng::Rng},
    infra::{
        db::{Db, Tx},
        ports::Refusal,
    },
};

pub struct Mock {
    db: Db,
    rng: Rng,
}

/// A payment that a customer makes at the provider.
#[derive(Debug, Clone)]
pub struct Play<'a> {
    /// The provider's id of the order.
    pub order_id: &'a str,
    pub amount: Money,
    /// ISO 4217.
    pub currency: &'a str,
    pub fails: bool,
}

/// The letters of Razorpay's ids, in their order as bytes.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl Mock {
    pub fn new(db: Db, rng: Rng) -> Mock {
        Mock { db, rng }
    }

    /// Writes a payment into the provider's books; gives its entity, as webhooks carry it.
    pub fn pay(tx: &mut Tx<'_>, play: &Play<'_>) -> Result<Value> {
        let id = format!("pay_{}", tx.rng().text(LETTERS, 14));
        let status = if play.fails { "failed" } else { "captured" };
        let (order, amount, currency) = (play.order_id, play.amount, play.currency);
        store::insert(tx, &id, order, amount, currency, status)?;
        let now = tx.now().seconds();
        Ok(store::entity(&id, order, amount, currency, status, now))
    }

    /// What the provider says of a payment: `payment.captured` or `payment.failed`.
    pub fn event(name: &str, payment: &Value, at: Timestamp) -> Value {
        json!({
            "entity": "event",
            "account_id": "acc_mock",
            "event": name,
            "contains": ["payment"],
            "payload": { "payment": { "entity": payment } },
            "created_at": at.seconds(),
        })
    }

    /// An id of an event, as the provider would issue it.
    pub fn event_id(rng: &Rng) -> String {
        rng.text(LETTERS, 14)
    }
}

impl Gateway for Mock {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn key_id(&self) -> &'static str {
        "rzp_test_mock"
    }

    fn least(&self) -> Money {
        Money::ZERO
    }

    fn order_id_at_once(&self, now: Timestamp, rng: &Rng) -> Option<String> {
        Some(format!("order_{}{}", moment(now), rng.text(LETTERS, 7)))
    }

    fn refund_id_at_once(&self, rng: &Rng) -> Option<String> {
        Some(format!("rfnd_{}", rng.text(LETTERS, 14)))
    }

    fn make_order<'a>(&'a self, _: &'a OrderToMake) -> BoxFuture<'a, Result<String, Refusal>> {
        async { Ok(format!("order_{}", self.rng.text(LETTERS, 14))) }.boxed()
    }

    fn refund<'a>(&'a self, _: &'a RefundToMake) -> BoxFuture<'a, Result<RefundMade, Refusal>> {
        async {
            Ok(RefundMade {
                id: format!("rfnd_{}", self.rng.text(LETTERS, 14)),
                succeeded: Some(true),
            })
        }
        .boxed()
    }

    fn payments<'a>(&'a self, order_id: &'a str) -> BoxFuture<'a, Result<Vec<Value>, Refusal>> {
        async move {
            let order_id = order_id.to_owned();
            let read = self
                .db
                .read("mock.payments", move |tx| store::of_order(tx, &order_id));
            read.await
                .map_err(|error| Refusal::passing(error.detail().to_owned()))
        }
        .boxed()
    }

    /// A refund is known to the shop before it is to the mock.
    fn refunds<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<Value>, Refusal>> {
        async { Ok(Vec::new()) }.boxed()
    }
}

/// Seven letters that sort by time, as the first ones of Razorpay's ids do: a unique index grows at
/// its end instead of everywhere.
fn moment(now: Timestamp) -> String {
    let mut rest = now.0.unsigned_abs();
    let mut letters = [b'0'; 7];
    for letter in letters.iter_mut().rev() {
        *letter = usize::try_from(rest % 62).map_or(b'0', |at| LETTERS[at]);
        rest /= 62;
    }
    letters.iter().copied().map(char::from).collect()
}
