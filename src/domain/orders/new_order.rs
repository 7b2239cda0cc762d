//! An order before it is written.

use super::{Order, OrderItem, OrderNumber, Status};
use crate::{
    app::App,
    core::{
        id::{MailId, OrderId, UserId},
        money::Money,
    },
    domain::payments::{self, Payment},
    infra::db::Tx,
};

/// The identifiers of an order to place. They are generated before anything is read, so that the random
/// numbers consumed do not depend on the outcome.
#[derive(Debug)]
pub struct NewOrder {
    pub(super) id: OrderId,
    pub(super) number: OrderNumber,
    pub(super) payment: Payment,
    /// The id of the confirmation email.
    pub(super) mail: MailId,
}

impl NewOrder {
    pub fn new(tx: &Tx<'_>, app: &App) -> NewOrder {
        let id = tx.id();
        NewOrder {
            id,
            number: OrderNumber::random(tx.rng()),
            payment: payments::draft(tx, app, id),
            mail: tx.id(),
        }
    }

    pub(super) fn into_order(
        self,
        tx: &Tx<'_>,
        app: &App,
        user: UserId,
        items: Vec<OrderItem>,
        total: Money,
    ) -> Order {
        Order {
            id: self.id,
            number: self.number,
            user_id: user,
            status: Status::Pending,
            items,
            total_amount: total,
            currency: app.config.currency.code(),
            payment: Payment {
                amount: total,
                ..self.payment
            },
            created_at: tx.now(),
            updated_at: tx.now(),
        }
    }
}
