//! What is known of an order before it is placed.

use super::{OrderNumber, store};
use crate::{
    core::{
        error::Result,
        id::{MailId, OrderId, UserId},
    },
    domain::{
        accounts,
        cart::{self, CartOwner},
        payments::{self, PaymentDraft},
    },
    infra::{
        db::{Prefetched, Tx},
        ports::Gateway,
    },
};

/// The identifiers of an order to place, and what is read ahead to place it.
pub struct NewOrder {
    pub(super) user: UserId,
    pub(super) id: OrderId,
    pub(super) number: OrderNumber,
    pub(super) payment: PaymentDraft,
    /// The id of the confirmation email.
    pub(super) mail: MailId,
    /// The customer's email address and name.
    pub(super) recipient: Prefetched<Option<(String, String)>>,
    pub(super) number_taken_by: Prefetched<Option<OrderId>>,
    pub(super) lines: cart::PrefetchedLines,
}

impl NewOrder {
    /// Generates the identifiers and prefetches the rest, for a payment by `gateway`. Call it after the query that
    /// locks the user's row.
    pub fn prefetch(tx: &mut Tx<'_>, gateway: &dyn Gateway, user: UserId) -> Result<NewOrder> {
        let id = tx.id();
        let number = OrderNumber::random(tx.rng());
        Ok(NewOrder {
            user,
            id,
            payment: payments::draft(tx, gateway, id),
            mail: tx.id(),
            recipient: accounts::prefetch_address(tx, user)?,
            number_taken_by: store::prefetch_id_by_number(tx, &number)?,
            lines: cart::prefetch_lines_for_update(tx, CartOwner::Account(user))?,
            number,
        })
    }
}
