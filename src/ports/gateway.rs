//! The payment provider. A checkout never waits for it.

use crate::clock::Chance;

/// A provider that takes the customer's money and tells of it by webhook.
pub trait Gateway: Send + Sync {
    /// The provider's name, as orders show it.
    fn name(&self) -> &'static str;

    /// The provider's id of an order, where one can be made at once and without the network.
    fn order_id_at_once(&self, chance: &Chance) -> Option<String>;
}

/// Plays Razorpay for a shop that has no account there: ids of the same shape, at once.
pub struct Mock;

/// The letters of Razorpay's ids.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Gateway for Mock {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn order_id_at_once(&self, chance: &Chance) -> Option<String> {
        Some(format!("order_{}", chance.text(LETTERS, 14)))
    }
}

impl Mock {
    /// An id of a payment, as the provider would issue it.
    pub fn payment_id(chance: &Chance) -> String {
        format!("pay_{}", chance.text(LETTERS, 14))
    }

    /// An id of an event, as the provider would issue it.
    pub fn event_id(chance: &Chance) -> String {
        chance.text(LETTERS, 14)
    }
}
