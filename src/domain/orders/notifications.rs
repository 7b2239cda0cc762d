//! Emails about orders. The outbox stores their data, amounts in the minor unit; templates render it.

use std::borrow::Cow;

use serde::Serialize;

use super::{Order, OrderNumber, Status};
use crate::{
    core::{
        error::Result,
        id::MailId,
        money::{Money, Quantity},
    },
    domain::{accounts, catalog},
    infra::db::Tx,
};

/// An email about an order.
#[derive(Debug, Clone, Copy)]
pub(super) enum OrderEmail {
    /// The confirmation, under an id that was generated with the order.
    Placed(MailId),
    Paid,
    Shipped,
    Delivered,
    Cancelled,
    /// Money was refunded; there is one email for each refund.
    Refunded,
}

/// The data of a template.
#[derive(Serialize)]
struct Data<'a> {
    name: &'a str,
    number: &'a OrderNumber,
    items: Vec<Item<'a>>,
    total: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Money>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    name: Cow<'a, str>,
    quantity: Quantity,
    line_total: Money,
}

/// Emails the customer that `amount` was refunded.
pub fn notify_refunded(tx: &mut Tx<'_>, order: &Order, amount: Money) -> Result<()> {
    OrderEmail::Refunded.enqueue(tx, order, Some(amount))
}

impl OrderEmail {
    /// Returns the email for a transition to `status`, if there is one.
    pub(super) fn for_status(status: Status) -> Option<OrderEmail> {
        match status {
            Status::Paid => Some(OrderEmail::Paid),
            Status::Shipped => Some(OrderEmail::Shipped),
            Status::Delivered => Some(OrderEmail::Delivered),
            Status::Cancelled => Some(OrderEmail::Cancelled),
            Status::Pending | Status::Refunded => None,
        }
    }

    fn template(self) -> &'static str {
        match self {
            OrderEmail::Placed(_) => "order-placed",
            OrderEmail::Paid => "order-paid",
            OrderEmail::Shipped => "order-shipped",
            OrderEmail::Delivered => "order-delivered",
            OrderEmail::Cancelled => "order-cancelled",
            OrderEmail::Refunded => "order-refunded",
        }
    }

    /// Writes the email to the outbox. `amount` is the refunded sum, if the email is about one.
    pub(super) fn enqueue(
        self,
        tx: &mut Tx<'_>,
        order: &Order,
        amount: Option<Money>,
    ) -> Result<()> {
        let recipient = accounts::address(tx, order.user_id)?;
        self.enqueue_to(tx, &recipient, order, amount)
    }

    /// Like [`OrderEmail::enqueue`], to an email address and name that were read before.
    pub(super) fn enqueue_to(
        self,
        tx: &mut Tx<'_>,
        (email, name): &(String, String),
        order: &Order,
        amount: Option<Money>,
    ) -> Result<()> {
        let items = order.items.iter().map(|item| Item {
            name: catalog::full_name(&item.name, &item.title),
            quantity: item.quantity,
            line_total: item.line_total,
        });
        let data = Data {
            name,
            number: &order.number,
            items: items.collect(),
            total: order.total_amount,
            amount,
        };
        match self {
            OrderEmail::Placed(id) => tx.mail_with_id(id, email, self.template(), &data),
            _ => tx.mail(email, self.template(), &data),
        }
    }
}
