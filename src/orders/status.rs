//! The states of an order, and the one table of arrows between them.

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
pub enum Mover {
    Customer,
    Admin,
    Provider,
}

/// Every arrow there is: from, to, and who may go along it.
pub const ARROWS: &[(Status, Status, &[Mover])] = &[
    (Status::Pending, Status::Paid, &[Mover::Provider]),
    (
        Status::Pending,
        Status::Cancelled,
        &[Mover::Customer, Mover::Admin],
    ),
    (Status::Paid, Status::Shipped, &[Mover::Admin]),
    (Status::Shipped, Status::Delivered, &[Mover::Admin]),
];

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
    pub fn may_become(self, next: Status, mover: Mover) -> bool {
        ARROWS
            .iter()
            .any(|(from, to, movers)| *from == self && *to == next && movers.contains(&mover))
    }
}
