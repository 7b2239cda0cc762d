//! The state machine of an order: statuses and the table of transitions.

use std::fmt::Write;

use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use utoipa::ToSchema;

use crate::core::column::text_columns;

/// The status of an order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
#[schema(as = OrderStatus)]
pub enum Status {
    Pending,
    Paid,
    Shipped,
    Delivered,
    Cancelled,
    Refunded,
}

text_columns!(Status);

/// Who causes a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "lowercase")]
pub enum Actor {
    Customer,
    Admin,
    Provider,
    /// The worker, once the payment window is over.
    Expiry,
}

/// All transitions: from, to, and the actors that may cause them.
pub const TRANSITIONS: &[(Status, Status, &[Actor])] = &[
    (Status::Pending, Status::Paid, &[Actor::Provider]),
    (
        Status::Pending,
        Status::Cancelled,
        &[Actor::Customer, Actor::Admin, Actor::Expiry],
    ),
    (Status::Paid, Status::Shipped, &[Actor::Admin]),
    (Status::Shipped, Status::Delivered, &[Actor::Admin]),
    (Status::Paid, Status::Refunded, &[Actor::Provider]),
    (Status::Shipped, Status::Refunded, &[Actor::Provider]),
    (Status::Delivered, Status::Refunded, &[Actor::Provider]),
];

/// Returns the transitions as a Mermaid state diagram (<https://mermaid.js.org/syntax/stateDiagram.html>).
pub fn diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> PENDING\n");
    for (from, to, actors) in TRANSITIONS {
        let actors: Vec<_> = actors.iter().map(Actor::to_string).collect();
        let (from, to, actors) = (from.as_str(), to.as_str(), actors.join(", "));
        // Writing into a `String` cannot fail.
        let _ = writeln!(text, "    {from} --> {to}: {actors}");
    }
    text
}

/// Returns the transitions as a Markdown table.
pub fn transitions_table() -> String {
    let mut text = String::from("| from | to | by |\n|---|---|---|\n");
    for (from, to, actors) in TRANSITIONS {
        let actors: Vec<_> = actors.iter().map(Actor::to_string).collect();
        let (from, to, actors) = (from.as_str(), to.as_str(), actors.join(", "));
        // Writing into a `String` cannot fail.
        let _ = writeln!(text, "| {from} | {to} | {actors} |");
    }
    text
}

impl Status {
    pub const ALL: &[Status] = Status::VARIANTS;

    /// Returns whether `actor` may move an order from this status to `next`.
    pub fn can_transition_to(self, next: Status, actor: Actor) -> bool {
        TRANSITIONS
            .iter()
            .any(|(from, to, actors)| *from == self && *to == next && actors.contains(&actor))
    }
}
