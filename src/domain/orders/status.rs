//! The states of an order, and the one table of arrows between them.

use std::fmt::Write;

use serde::Serialize;
use utoipa::ToSchema;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Pending,
    Paid,
    Shipped,
    Delivered,
    Cancelled,
    Refunded,
}

/// Who moves an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    Customer,
    Admin,
    Provider,
    /// By itself, once its time is over.
    Clock,
}

impl Actor {
    fn as_str(self) -> &'static str {
        match self {
            Actor::Customer => "customer",
            Actor::Admin => "admin",
            Actor::Provider => "provider",
            Actor::Clock => "clock",
        }
    }
}

/// Every arrow there is: from, to, and who may go along it.
pub const TRANSITIONS: &[(Status, Status, &[Actor])] = &[
    (Status::Pending, Status::Paid, &[Actor::Provider]),
    (
        Status::Pending,
        Status::Cancelled,
        &[Actor::Customer, Actor::Admin, Actor::Clock],
    ),
    (Status::Paid, Status::Shipped, &[Actor::Admin]),
    (Status::Shipped, Status::Delivered, &[Actor::Admin]),
    (Status::Paid, Status::Refunded, &[Actor::Provider]),
    (Status::Shipped, Status::Refunded, &[Actor::Provider]),
    (Status::Delivered, Status::Refunded, &[Actor::Provider]),
];

/// The arrows as a state diagram (<https://mermaid.js.org/syntax/stateDiagram.html>), for documents.
pub fn diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> PENDING\n");
    for (from, to, movers) in TRANSITIONS {
        let movers: Vec<_> = movers.iter().map(|mover| mover.as_str()).collect();
        let (from, to, movers) = (from.as_str(), to.as_str(), movers.join(", "));
        // Writing into a `String` cannot fail.
        let _ = writeln!(text, "    {from} --> {to}: {movers}");
    }
    text
}

impl Status {
    pub const ALL: [Status; 6] = [
        Status::Pending,
        Status::Paid,
        Status::Shipped,
        Status::Delivered,
        Status::Cancelled,
        Status::Refunded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "PENDING",
            Status::Paid => "PAID",
            Status::Shipped => "SHIPPED",
            Status::Delivered => "DELIVERED",
            Status::Cancelled => "CANCELLED",
            Status::Refunded => "REFUNDED",
        }
    }

    pub fn parse(text: &str) -> Option<Status> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether there is an arrow to `next` that `mover` may take.
    pub fn can_transition_to(self, next: Status, mover: Actor) -> bool {
        TRANSITIONS
            .iter()
            .any(|(from, to, movers)| *from == self && *to == next && movers.contains(&mover))
    }
}
