//! `shop admin pay`: plays Razorpay towards the running server.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;

use crate::{
    cli::output::Output,
    error::{Error, Result},
    orders::{self, Order},
    payments::signature,
    ports::Mock,
    server::Home,
    web::App,
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Pay {
    /// The order's id or number
    order: String,
    /// The payment fails instead
    #[arg(long)]
    fail: bool,
}

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Pay {
    pub(in crate::cli) async fn run(
        self,
        home: &Home,
        app: &Arc<App>,
        output: Output,
    ) -> Result<()> {
        let server = home.running()?.ok_or_else(|| {
            let directory = app.config.data_dir.display();
            Error::unavailable(format!(
                "no server is running on `{directory}`; run `shop serve`"
            ))
        })?;
        let order = find(app, &self.order).await?;
        let event = if self.fail {
            "payment.failed"
        } else {
            "payment.captured"
        };
        let body = Bytes::from(envelope(app, &order, event)?.to_string());
        let secret = app
            .webhook_secrets
            .first()
            .ok_or_else(|| Error::internal("no secret for webhooks"))?;
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(Error::internal)?
            .post(format!("{server}/api/v1/payments/razorpay/webhook"))
            .timeout(PATIENCE)
            .header("content-type", "application/json")
            .header("x-razorpay-signature", signature::sign(secret, &body))
            .header("x-razorpay-event-id", Mock::event_id(&app.chance))
            .body(body)
            .send()
            .await
            .map_err(|e| {
                Error::unavailable(format!("the server at {server} does not answer: {e}"))
            })?;
        if !answer.status().is_success() {
            let status = answer.status().as_u16();
            return Err(Error::unavailable(format!(
                "the server refused the webhook with {status}; does it use the same \
                 `SHOP_RAZORPAY_WEBHOOK_SECRET`?"
            )));
        }
        let order = find(app, &self.order).await?;
        let words = format!(
            "order {} is {}, its payment {}",
            order.number,
            order.status.as_str(),
            order.payment.status.as_str()
        );
        output.one(&order, &words)
    }
}

async fn find(app: &Arc<App>, name: &str) -> Result<Order> {
    let (shop, name) = (Arc::clone(app), name.to_owned());
    app.db
        .read("orders.by_name", move |tx| {
            orders::order_by_name(tx, &shop, &name)
        })
        .await
}

/// Razorpay's envelope about the payment of an order.
pub(in crate::cli) fn envelope(app: &App, order: &Order, event: &str) -> Result<serde_json::Value> {
    let provider_order = order.payment.provider_order_id.as_deref().ok_or_else(|| {
        Error::unavailable("the provider has no order for this one yet; try again")
    })?;
    let is_captured = event == "payment.captured";
    let seconds = app.clock.now().seconds();
    Ok(json!({
        "entity": "event",
        "account_id": "acc_mock",
        "event": event,
        "contains": ["payment"],
        "payload": { "payment": { "entity": {
            "id": Mock::payment_id(&app.chance),
            "entity": "payment",
            "amount": order.payment.amount,
            "currency": order.currency,
            "status": if is_captured { "captured" } else { "failed" },
            "order_id": provider_order,
            "method": "upi",
            "captured": is_captured,
            "notes": [],
            "created_at": seconds,
        } } },
        "created_at": seconds,
    }))
}
