//! What customers are written on the way of an order. The outbox keeps what a letter says as data, sums in
//! the minor unit; the templates say it.

use serde::Serialize;

use super::{Order, OrderNumber, Status};
use crate::{
    core::{
        error::Result,
        id::MailId,
        money::{Money, Quantity},
    },
    domain::accounts,
    infra::db::Tx,
};

/// The template of the letter that comes with an order.
pub(super) const PLACED: &str = "order-placed";

/// A step that is written about.
#[derive(Debug, Clone, Copy)]
pub(super) enum OrderEmail {
    /// Under an id that was drawn with the order.
    Placed(MailId),
    Paid,
    Shipped,
    Delivered,
    Cancelled,
    /// Money went back.
    Refunded,
}

/// What the templates are filled with.
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
    name: &'a str,
    quantity: Quantity,
    line_total: Money,
}

impl OrderEmail {
    /// The letter about an order that has become this; a refund's is written for each sum that goes back.
    pub(super) fn about(status: Status) -> Option<OrderEmail> {
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
            OrderEmail::Placed(_) => PLACED,
            OrderEmail::Paid => "order-paid",
            OrderEmail::Shipped => "order-shipped",
            OrderEmail::Delivered => "order-delivered",
            OrderEmail::Cancelled => "order-cancelled",
            OrderEmail::Refunded => "order-refunded",
        }
    }

    /// Leaves it in the outbox. `amount` is what this letter is about, beside the order's total.
    pub(super) fn write(self, tx: &mut Tx<'_>, order: &Order, amount: Option<Money>) -> Result<()> {
        let (email, name) = accounts::address(tx, order.user_id)?;
        let items = order.items.iter().map(|item| Item {
            name: &item.name,
            quantity: item.quantity,
            line_total: item.line_total,
        });
        let data = Data {
            name: &name,
            number: &order.number,
            items: items.collect(),
            total: order.total_amount,
            amount,
        };
        match self {
            OrderEmail::Placed(id) => tx.mail_as(id, &email, self.template(), &data),
            _ => tx.mail(&email, self.template(), &data),
        }
    }
}
