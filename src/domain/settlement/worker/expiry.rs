//! Cancels orders that were not paid within the payment window.

use crate::{
    app::App,
    core::error::Result,
    domain::orders::{self, Actor, Status},
};

/// How many orders are cancelled in one transaction.
const BATCH_SIZE: i64 = 20;

/// Cancels the orders whose payment window is over, in batches. Returns how many.
pub async fn expire_due(app: &App) -> Result<usize> {
    let window = app.config.payment_window;
    let mut expired = 0;
    loop {
        let due = app
            .db
            .read("orders.unpaid", move |tx| {
                let before = tx.now().minus(window);
                orders::unpaid_before(tx, before, BATCH_SIZE)
            })
            .await?;
        if due.is_empty() || app.stopping.is_cancelled() {
            return Ok(expired);
        }
        expired += app
            .db
            .write("orders.expire", move |tx| {
                let mut expired = 0;
                for id in &due {
                    let current = orders::order(tx, *id, None)?;
                    // It may have been paid or cancelled meanwhile.
                    if current.status == Status::Pending {
                        let next = Status::Cancelled;
                        orders::transition(tx, &current, next, Actor::Expiry)?;
                        expired += 1;
                    }
                }
                Ok(expired)
            })
            .await?;
    }
}
