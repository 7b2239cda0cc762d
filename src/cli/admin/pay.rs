//! `shop admin pay`: simulates a payment at Razorpay, and delivers its webhooks to the running server.

use std::{sync::Arc, time::Duration};

use crate::{
    app::App,
    cli::{output::Output, write::write},
    core::error::{Error, Result},
    domain::{
        orders::{self, Order},
        payments::PaymentStatus,
        settlement::simulate_payment,
    },
    infra::{config, db::Tx, ports::gateway::SimulatedCheckout},
    server::{DataDir, WebhookSender},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Pay {
    /// Id or number of the order
    order: String,
    /// Simulate a payment that fails
    #[arg(long)]
    fail: bool,
    /// Send each webhook N more times with the same event id, after all have been sent once
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(..=1000))]
    duplicate: u32,
    /// Wait before sending, e.g. `90s`; a number without a unit means seconds
    #[arg(long, value_name = "S", value_parser = parse_delay)]
    delay: Option<Duration>,
    /// Simulate a failed attempt and a successful one, and send the webhooks in reverse order: `order.paid`,
    /// `payment.captured`, `payment.failed`
    #[arg(long, conflicts_with = "fail")]
    reorder: bool,
    /// Send no webhook; the payment exists only at the provider
    #[arg(long, conflicts_with_all = ["duplicate", "delay", "reorder"])]
    lose: bool,
}

fn parse_delay(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => config::duration(text).map_err(|error| format!("`--delay` {error}")),
    }
}

impl Pay {
    pub(in crate::cli) async fn run(
        self,
        data_dir: &DataDir,
        app: &Arc<App>,
        output: Output,
    ) -> Result<()> {
        if app.gateway.name() != "mock" {
            return Err(Error::command_failed(
                "real Razorpay keys are set, and `shop admin pay` works only without; pay in Razorpay's own \
                 checkout, which accepts test cards if the keys are test keys",
            ));
        }
        let sender = WebhookSender::new(data_dir, app)?;
        if !self.lose {
            sender.server()?;
        }
        let order = find_order(app, &self.order).await?;
        let checkout = SimulatedCheckout {
            fails: self.fail,
            fails_first: self.reorder,
            duplicates: self.duplicate,
            is_reordered: self.reorder,
        };
        let pay = move |tx: &mut Tx<'_>| simulate_payment(tx, &order, checkout);
        let payment = write(app, "mock.pay", pay).await?;
        if !self.lose {
            if let Some(delay) = self.delay {
                tokio::time::sleep(delay).await;
            }
            sender.deliver(&payment.webhooks).await?;
        }
        let order = find_order(app, &self.order).await?;
        output.value(&order, &self.summary(&order, &payment.payment_id))
    }

    /// Describes the order, and the payment if the order does not reflect it.
    fn summary(&self, order: &Order, payment_id: &str) -> String {
        let (number, status) = (&order.number, order.status.as_str());
        let summary = format!(
            "order {number} is {status}, payment {}",
            order.payment.status.as_str()
        );
        let is_applied = match order.payment.transaction_id.as_deref() {
            Some(transaction) => transaction == payment_id,
            None => order.payment.status == PaymentStatus::Failed,
        };
        if self.lose {
            format!(
                "{summary}; no webhook was sent, `shop admin payments reconcile` finds {payment_id} at the \
                 provider"
            )
        } else if is_applied {
            summary
        } else if self.fail {
            format!("{summary}; {payment_id} failed too late to change that")
        } else {
            format!("{summary}; {payment_id} is a duplicate payment and is refunded automatically")
        }
    }
}

async fn find_order(app: &Arc<App>, id_or_number: &str) -> Result<Order> {
    let id_or_number = id_or_number.to_owned();
    app.db
        .read("orders.by_name", move |tx| {
            orders::order_by_name(tx, &id_or_number)
        })
        .await
}
