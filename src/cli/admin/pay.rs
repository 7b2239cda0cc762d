//! `shop admin pay`: plays Razorpay towards the running server.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;

use crate::{
    cli::output::Output,
    db::Tx,
    error::{Error, Result},
    orders::{self, Order},
    payments::signature,
    ports::{Mock, gateway::Play},
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
        let fails = self.fail;
        let event = app
            .db
            .write("mock.pay", move |tx| play(tx, &order, fails))
            .await?;
        let body = Bytes::from(event.to_string());
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

/// Lets the mock provider take the money for an order, or fail to; gives what it says of it.
pub(in crate::cli) fn play(tx: &mut Tx<'_>, order: &Order, fails: bool) -> Result<Value> {
    let order_id = order.payment.provider_order_id.as_deref().ok_or_else(|| {
        Error::unavailable("the provider has no order for this one yet; try again")
    })?;
    let play = Play {
        order_id,
        amount: order.payment.amount,
        currency: order.currency,
        fails,
    };
    let name = if fails {
        "payment.failed"
    } else {
        "payment.captured"
    };
    Ok(Mock::event(name, &Mock::pay(tx, &play)?, tx.now()))
}
