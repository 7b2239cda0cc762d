//! What happens to orders by itself: unpaid ones expire, the provider is told of new orders and refunds,
//! and, on demand, is asked what the shop has not heard. The provider is never talked to inside a
//! transaction.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Actor, PaymentSession, Status, money, order, payment_session, store, transition};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::OrderId,
        money::Money,
    },
    domain::payments::{self, Delivery, OrderDue, PaymentStatus, Recorded, RefundDue},
    infra::ports::{
        Refusal,
        gateway::{OrderToMake, RefundToMake},
    },
};

/// How many orders expire in one transaction.
const BATCH: i64 = 20;

/// How many conversations with the provider go on at once.
const AT_ONCE: i64 = 8;

/// How far back the provider is asked about payments.
pub const COMPARED: Duration = Duration::from_hours(30 * 24);

/// Cancels the orders that were not paid in time, a few at a time; tells how many.
pub async fn expire_due(app: &Arc<App>) -> Result<usize> {
    let window = app.config.payment_window;
    let mut expired = 0;
    loop {
        let due = app
            .db
            .read("orders.unpaid", move |tx| {
                let moment = tx.now().minus(window);
                store::unpaid_before(tx, moment, BATCH)
            })
            .await?;
        if due.is_empty() || app.stopping.is_cancelled() {
            return Ok(expired);
        }
        let shop = Arc::clone(app);
        expired += app
            .db
            .write("orders.expire", move |tx| {
                let mut expired = 0;
                for id in &due {
                    let current = order(tx, &shop, *id, None)?;
                    // Somebody may have paid or cancelled meanwhile.
                    if current.status == Status::Pending {
                        transition(tx, &shop, &current, Status::Cancelled, Actor::Clock)?;
                        expired += 1;
                    }
                }
                Ok(expired)
            })
            .await?;
    }
}

/// Tells the provider what it is to be told now: of orders and of refunds; tells how many tries that took.
pub async fn tell_provider(app: &Arc<App>) -> Result<usize> {
    let provider = app.gateway.name();
    let mut tries = 0;
    while !app.stopping.is_cancelled()
        && app
            .db
            .read("payments.is_any_due", move |tx| {
                payments::is_any_due(tx, provider)
            })
            .await?
    {
        let (orders, refunds) = app
            .db
            .write("payments.take_due", move |tx| {
                let orders = payments::take_orders(tx, provider, AT_ONCE)?;
                Ok((orders, payments::take_refunds(tx, provider, AT_ONCE)?))
            })
            .await?;
        tries += orders.len() + refunds.len();
        let made = join_all(orders.into_iter().map(|due| make_due(app, due)));
        let sent = join_all(refunds.into_iter().map(|due| send_refund(app, due)));
        let (made, sent) = futures_util::future::join(made, sent).await;
        made.into_iter().chain(sent).collect::<Result<()>>()?;
    }
    Ok(tries)
}

/// Makes an order at the provider, if it is still to be paid.
async fn make_due(app: &Arc<App>, due: OrderDue) -> Result<()> {
    let (shop, id) = (Arc::clone(app), due.order);
    let is_waiting = app
        .db
        .read("orders.is_waiting", move |tx| {
            Ok(order(tx, &shop, id, None)?.status == Status::Pending)
        })
        .await?;
    if !is_waiting {
        return app
            .db
            .write("payments.stop_making", move |tx| {
                payments::stop_making(tx, id)
            })
            .await;
    }
    match make_order(app, due.order, due.amount).await {
        Ok(id) => note_order(app, due.order, id).await.map(drop),
        Err(refusal) => {
            let (order, tries, why) = (due.order, due.tries, refusal.why);
            tracing::warn!(%order, tries, why, "the payment provider made no order; trying again");
            app.db
                .write("payments.put_off_order", move |tx| {
                    payments::put_off_order(tx, &due, &why)
                })
                .await
        }
    }
}

async fn make_order(app: &App, id: OrderId, amount: Money) -> Result<String, Refusal> {
    let wanted = OrderToMake {
        amount,
        currency: app.config.currency.code(),
        receipt: id.to_string(),
    };
    app.gateway.make_order(&wanted).await
}

/// Writes down what the provider calls an order; of two that were made at once the first one counts.
async fn note_order(
    app: &Arc<App>,
    id: OrderId,
    provider_order_id: String,
) -> Result<Option<PaymentSession>> {
    let shop = Arc::clone(app);
    app.db
        .write("orders.note_order", move |tx| {
            let effects = payments::note_order(tx, &shop, id, &provider_order_id)?;
            money::follow(tx, &shop, &effects)?;
            payment_session(&shop, &order(tx, &shop, id, None)?)
        })
        .await
}

/// Makes the order at the provider that somebody wants to pay now.
pub async fn create_gateway_order(
    app: &Arc<App>,
    id: OrderId,
    amount: Money,
) -> Result<PaymentSession> {
    let down = || Error::unavailable("the payment provider cannot be reached; try again");
    let made = make_order(app, id, amount)
        .await
        .map_err(|refusal| down().caused_by(refusal.why))?;
    note_order(app, id, made).await?.ok_or_else(down)
}

/// Sends a refund, under a key that makes it happen once however often it is sent.
async fn send_refund(app: &Arc<App>, due: RefundDue) -> Result<()> {
    let wanted = RefundToMake {
        payment_id: due.transaction_id.clone(),
        amount: due.amount,
        key: due.refund.to_string(),
    };
    let answer = app.gateway.refund(&wanted).await;
    if let Err(refusal) = &answer {
        let (refund, tries, why) = (due.refund, due.tries, &refusal.why);
        if refusal.is_final {
            tracing::error!(%refund, tries, why, "the payment provider refused a refund");
        } else {
            tracing::warn!(%refund, tries, why, "a refund was not taken; trying again");
        }
    }
    let shop = Arc::clone(app);
    app.db
        .write("orders.note_refund", move |tx| match &answer {
            Ok(made) => {
                let effect = payments::note_refund(tx, &due, &made.id, made.succeeded)?;
                money::follow(tx, &shop, &[effect])
            }
            Err(refusal) => payments::put_off_refund(tx, &due, refusal.is_final, &refusal.why),
        })
        .await
}

/// What came of a comparison with the provider's record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// Payments that were compared.
    pub compared: usize,
    pub captured: usize,
    pub failed: usize,
    pub refunded: usize,
    pub unmatched: usize,
    /// Payments for orders that were paid before; their money goes back.
    pub duplicates: usize,
    /// Why some could not be compared.
    pub troubles: Vec<String>,
}

/// Compares the payments of the last thirty days with what the provider knows, and does what lost webhooks
/// would have done. `tell` hears how many were compared.
pub async fn reconcile(app: &Arc<App>, tell: impl Fn(usize)) -> Result<Reconciled> {
    let provider = app.gateway.name();
    let since = Timestamp(app.clock.now().minus(COMPARED).0.max(0));
    let mut reconciled = Reconciled::default();
    let mut after = OrderId(uuid::Uuid::nil());
    loop {
        let since = OrderId(store::first_id(since));
        let recorded = app
            .db
            .read("payments.to_compare", move |tx| {
                payments::to_compare(tx, provider, since, after, AT_ONCE)
            })
            .await?;
        let Some(last) = recorded.last() else {
            return Ok(reconciled);
        };
        after = last.order;
        let told = join_all(recorded.iter().map(|known| ask(app, known))).await;
        for (known, told) in recorded.iter().zip(told) {
            match told {
                Ok(news) => apply(app, news, &mut reconciled).await?,
                Err(refusal) => {
                    let trouble = format!("order {}: {}", known.order, refusal.why);
                    reconciled.troubles.push(trouble);
                }
            }
            reconciled.compared += 1;
        }
        tell(reconciled.compared);
    }
}

/// What the provider knows of a payment and the shop does not, as the events that would have told of it.
async fn ask(app: &App, known: &Recorded) -> Result<Vec<Value>, Refusal> {
    let mut news = Vec::new();
    for payment in app.gateway.payments(&known.provider_order_id).await? {
        let id = payment["id"].as_str().unwrap_or_default();
        let is_own = known.transaction_id.as_deref() == Some(id);
        let went_back = payment["amount_refunded"].as_i64().unwrap_or_default();
        let is_news = went_back != if is_own { known.refunded.get() } else { 0 };
        let refunds = if is_news {
            app.gateway.refunds(id).await?
        } else {
            Vec::new()
        };
        match payment["status"].as_str() {
            Some("captured" | "refunded") if !is_own => {
                news.push(event("payment.captured", "payment", &payment));
            }
            Some("failed") if known.status == PaymentStatus::Created => {
                news.push(event("payment.failed", "payment", &payment));
            }
            _ => {}
        }
        for refund in refunds {
            match refund["status"].as_str() {
                Some("processed") => news.push(event("refund.processed", "refund", &refund)),
                Some("failed") => news.push(event("refund.failed", "refund", &refund)),
                _ => {}
            }
        }
    }
    Ok(news)
}

fn event(name: &str, entity: &str, told: &Value) -> Value {
    json!({ "event": name, "payload": { entity: { "entity": told } } })
}

async fn apply(app: &Arc<App>, news: Vec<Value>, reconciled: &mut Reconciled) -> Result<()> {
    for event in news {
        let delivery = Delivery {
            event_id: None,
            body: Bytes::from(event.to_string()),
            is_signed: false,
        };
        let shop = Arc::clone(app);
        let outcome = app
            .db
            .write("orders.reconcile", move |tx| {
                money::receive_payment(tx, &shop, &delivery)
            })
            .await?;
        match outcome {
            "captured" => reconciled.captured += 1,
            "failed" => reconciled.failed += 1,
            "refunded" => reconciled.refunded += 1,
            "duplicate" => reconciled.duplicates += 1,
            outcome if outcome.starts_with("unmatched") => reconciled.unmatched += 1,
            _ => {}
        }
    }
    Ok(())
}
