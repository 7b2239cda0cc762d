//! What is known of an order before it is placed.

use super::{OrderNumber, store};
use crate::{
    core::{
        error::Result,
        id::{MailId, OrderId, UserId},
    },
    domain::{
        accounts, cart,
        payments::{self, PaymentDraft},
    },
    infra::{
        db::{Queued, Tx},
        ports::Gateway,
    },
};

/// The identifiers of an order to place, and the queued queries that placing it needs.
pub struct NewOrder {
    pub(super) user: UserId,
    pub(super) id: OrderId,
    pub(super) number: OrderNumber,
    pub(super) payment: PaymentDraft,
    /// The id of the confirmation email.
    pub(super) mail: MailId,
    /// The customer's email address and name.
    pub(super) recipient: Queued<Option<(String, String)>>,
    pub(super) number_taken_by: Queued<Option<OrderId>>,
    pub(super) lines: cart::QueuedLines,
}

impl NewOrder {
    /// Generates the identifiers and queues the queries, for a payment by `gateway`. Queue them after the query
    /// that locks the user's row.
    pub fn queue(tx: &mut Tx<'_>, gateway: &dyn Gateway, user: UserId) -> Result<NewOrder> {
        let id = tx.id();
        let number = OrderNumber::random(tx.rng());
        Ok(NewOrder {
            user,
            id,
            payment: payments::draft(tx, gateway, id),
            mail: tx.id(),
            recipient: accounts::queue_address(tx, user)?,
            number_taken_by: store::queue_id_by_number(tx, &number)?,
            lines: cart::queue_lines_for_update(tx, user)?,
            number,
        })
    }
}
