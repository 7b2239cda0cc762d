//! A delivery of events by the provider, and its effects on orders.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Outcome, Refunded};
use crate::{
    core::id::OrderId,
    infra::ports::gateway::{Gateway, GatewayEvent},
};

/// A webhook, or an event that reconciliation found.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The name of the provider.
    pub provider: &'static str,
    /// The raw body. It is stored, and can be parsed again.
    pub body: Bytes,
    /// The events in the body.
    pub events: Vec<GatewayEvent>,
    /// Whether the signature was verified. Events from reconciliation have none.
    pub is_signed: bool,
}

impl Delivery {
    /// Returns a delivery of the events in an unsigned body.
    pub fn unsigned(gateway: &dyn Gateway, event_id: Option<&str>, body: Bytes) -> Delivery {
        let mut events = gateway.webhooks().parse(&body);
        for event in &mut events {
            event.id = event_id.map(str::to_owned);
        }
        Delivery {
            provider: gateway.name(),
            body,
            events,
            is_signed: false,
        }
    }

    /// Returns the idempotency key of one of the events. It covers the event id and the body: a provider that
    /// reuses an id for another body has sent another event.
    pub(super) fn key(&self, index: usize) -> [u8; 32] {
        let event_id = self.events.get(index).and_then(|event| event.id.as_deref());
        let mut hasher = Sha256::new();
        hasher.update(event_id.unwrap_or_default().as_bytes());
        hasher.update([u8::from(!self.is_signed)]);
        hasher.update(Sha256::digest(&self.body));
        if index > 0 {
            hasher.update(index.to_le_bytes());
        }
        hasher.finalize().into()
    }
}

/// A change of a payment, to apply to its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    None,
    /// The order's payment was captured.
    Captured(OrderId),
    Refunded(Refunded),
}

/// The result of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryResult {
    /// One for each event.
    pub outcomes: Vec<Outcome>,
    pub effects: Vec<Effect>,
}
