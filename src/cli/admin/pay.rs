//! `shop admin pay`: simulates a payment at Razorpay, and delivers its webhooks to the running server.

use std::{sync::Arc, time::Duration};

use crate::{
    app::App,
    cli::{output::Output, running_server, write::write},
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
    },
    domain::{
        orders::{self, Order},
        payments::PaymentStatus,
        settlement::WEBHOOK_PATH,
    },
    infra::{
        config,
        db::Tx,
        ports::gateway::{CheckoutResult, SimulatedCheckout, Webhook},
    },
    server::DataDir,
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

/// How long the server may take to answer; the same as Razorpay's timeout.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The pauses between the attempts to deliver a webhook.
const RETRY_BACKOFF: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

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
        if !self.lose && data_dir.running_server()?.is_none() {
            return Err(server_not_running(app));
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
            let sender = WebhookSender::new(data_dir, app)?;
            for webhook in &payment.webhooks {
                sender.deliver(webhook).await?;
            }
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

/// Delivers webhooks to the server that runs on the data directory.
struct WebhookSender<'a> {
    data_dir: &'a DataDir,
    app: &'a App,
    http: reqwest::Client,
}

/// Why an attempt to deliver a webhook failed.
enum DeliveryError {
    /// Another attempt may succeed.
    Transient(Error),
    Permanent(Error),
}

impl<'a> WebhookSender<'a> {
    fn new(data_dir: &'a DataDir, app: &'a App) -> Result<WebhookSender<'a>> {
        let http = running_server::client()?;
        Ok(WebhookSender {
            data_dir,
            app,
            http,
        })
    }

    /// Sends a webhook, with retries.
    ///
    /// Errors: `CommandFailed` if the server rejects it; `Unavailable` if it does not answer until the last attempt.
    async fn deliver(&self, webhook: &Webhook) -> Result<()> {
        let mut pauses = RETRY_BACKOFF.iter();
        loop {
            let error = match self.attempt(webhook).await {
                Ok(()) => return Ok(()),
                Err(DeliveryError::Permanent(error)) => return Err(error),
                Err(DeliveryError::Transient(error)) => error,
            };
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(error),
            }
        }
    }

    async fn attempt(&self, webhook: &Webhook) -> Result<(), DeliveryError> {
        use DeliveryError::{Permanent, Transient};

        // Read before each attempt: a restarted server may listen on another port.
        let server = self.data_dir.running_server().map_err(Permanent)?;
        let server = server.ok_or_else(|| Transient(server_not_running(self.app)))?;
        let url = server.url;
        let secret = self.app.webhook_secrets.first();
        let secret =
            secret.ok_or_else(|| Permanent(Error::internal("no webhook secret is configured")))?;
        let mut request = self
            .http
            .post(format!("{url}/api/v1{WEBHOOK_PATH}"))
            .timeout(REQUEST_TIMEOUT)
            .header("content-type", "application/json");
        for (name, value) in webhook.headers(secret) {
            request = request.header(name, value);
        }
        let response = request
            .body(webhook.body.clone())
            .send()
            .await
            .map_err(|error| {
                let detail = format!("the server at {url} does not answer: {error}");
                Transient(Error::unavailable(detail))
            })?;
        match response.status().as_u16() {
            200..=299 => Ok(()),
            503 => {
                let detail = format!("the server at {url} is too busy; try again later");
                Err(Transient(Error::unavailable(detail)))
            }
            status => {
                let detail = format!(
                    "the server at {url} refused the webhook with status {status}; does it use the same \
                     `SHOP_RAZORPAY_WEBHOOK_SECRET`?"
                );
                Err(Permanent(Error::command_failed(detail)))
            }
        }
    }
}

fn server_not_running(app: &App) -> Error {
    let data_dir = app.config.data_dir.display();
    Error::unavailable(format!(
        "no server is running on `{data_dir}`; start it with `shop serve`"
    ))
}

async fn find_order(app: &Arc<App>, id_or_number: &str) -> Result<Order> {
    let id_or_number = id_or_number.to_owned();
    app.db
        .read("orders.by_name", move |tx| {
            orders::order_by_name(tx, &id_or_number)
        })
        .await
}

/// Records a payment for an order at the mock provider, and returns it with its webhooks.
///
/// Errors: `Unavailable` if the provider has no order yet.
pub(in crate::cli) fn simulate_payment(
    tx: &mut Tx<'_>,
    order: &Order,
    checkout: SimulatedCheckout,
) -> Result<CheckoutResult> {
    let order_id = order.payment.provider_order_id.as_deref().ok_or_else(|| {
        Error::unavailable("the provider has not created its order yet; try again")
    })?;
    tx.audit(Action::OrderSimulatePayment, Some(&order.id), || {
        Changes::none().with("fail", checkout.fails)
    })?;
    checkout.play(tx, order_id, order.payment.amount, order.currency)
}
