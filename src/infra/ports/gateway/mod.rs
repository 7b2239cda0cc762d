//! The payment provider. A checkout never waits for it: what needs the network is done after the
//! transaction, by the worker or by whoever wants to pay. It asks once; asking again is the worker's
//! business.

mod mock;
mod play;
mod razorpay;
mod store;

use futures_util::future::BoxFuture;
use serde_json::Value;

pub use self::{
    mock::{Mock, Play},
    play::{Played, Visit, Webhook},
    razorpay::Razorpay,
};
use super::Refusal;
use crate::core::{clock::Timestamp, error::Result, money::Money, rng::Rng};

/// An order that the provider is to take money for.
#[derive(Debug, Clone)]
pub struct OrderToMake {
    pub amount: Money,
    /// ISO 4217.
    pub currency: &'static str,
    /// What the shop calls it, at most 40 letters.
    pub receipt: String,
}

/// Money that the provider is to give back.
#[derive(Debug, Clone)]
pub struct RefundToMake {
    /// The provider's id of the payment.
    pub payment_id: String,
    pub amount: Money,
    /// What the shop calls it, at least ten letters; the same one is refunded once.
    pub key: String,
}

/// A refund, as the provider tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundMade {
    /// The provider's id.
    pub id: String,
    /// Whether the money has left; none: not yet.
    pub succeeded: Option<bool>,
}

/// A provider that takes the customer's money and tells of it by webhook.
pub trait Gateway: Send + Sync {
    /// The provider's name, as orders show it.
    fn name(&self) -> &'static str;

    /// What a browser names the shop by, when it opens the provider's checkout.
    fn key_id(&self) -> &str;

    /// The least that it takes, in the currency's minor unit.
    fn least(&self) -> Money;

    /// The provider's id of an order, where one can be made at once and without the network.
    fn order_id_at_once(&self, now: Timestamp, rng: &Rng) -> Option<String>;

    /// The same for a refund, which then has happened.
    fn refund_id_at_once(&self, rng: &Rng) -> Option<String>;

    /// Makes an order there; tells its id.
    fn make_order<'a>(&'a self, order: &'a OrderToMake) -> BoxFuture<'a, Result<String, Refusal>>;

    /// Gives money back.
    fn refund<'a>(&'a self, refund: &'a RefundToMake)
    -> BoxFuture<'a, Result<RefundMade, Refusal>>;

    /// All payments for one of its orders, as its payment entities.
    fn payments<'a>(&'a self, order_id: &'a str) -> BoxFuture<'a, Result<Vec<Value>, Refusal>>;

    /// All refunds of one of its payments, as its refund entities.
    fn refunds<'a>(&'a self, payment_id: &'a str) -> BoxFuture<'a, Result<Vec<Value>, Refusal>>;
}
