//! The payment provider. A checkout never waits for it.

use crate::clock::{Chance, Timestamp};

/// A provider that takes the customer's money and tells of it by webhook.
pub trait Gateway: Send + Sync {
    /// The provider's name, as orders show it.
    fn name(&self) -> &'static str;

    /// The provider's id of an order, where one can be made at once and without the network.
    fn order_id_at_once(&self, now: Timestamp, chance: &Chance) -> Option<String>;
}

/// Plays Razorpay for a shop that has no account there: ids of the same shape, at once.
pub struct Mock;

/// The letters of Razorpay's ids, in their order as bytes.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl Gateway for Mock {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn order_id_at_once(&self, now: Timestamp, chance: &Chance) -> Option<String> {
        Some(format!("order_{}{}", moment(now), chance.text(LETTERS, 7)))
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
