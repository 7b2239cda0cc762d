//! `shop admin pay`: plays Razorpay towards the running server.

use std::{sync::Arc, time::Duration};

use crate::{
    app::App,
    cli::output::Output,
    core::error::{Error, Result},
    domain::{
        orders::{self, Order},
        payments::{PaymentStatus, signature},
    },
    infra::{
        config,
        db::Tx,
        ports::gateway::{Played, Visit, Webhook},
    },
    server::Home,
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Pay {
    /// The order's id or number
    order: String,
    /// The payment fails instead
    #[arg(long)]
    fail: bool,
    /// Send each webhook so many times more, under the same event id, after all have come once
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(u32).range(..=1000))]
    duplicate: u32,
    /// Wait so long before sending, as `90s`; a bare number means seconds
    #[arg(long, value_name = "S", value_parser = delay)]
    delay: Option<Duration>,
    /// A first try fails and a second one pays, and what was sent last arrives first: `order.paid`,
    /// `payment.captured`, `payment.failed`
    #[arg(long, conflicts_with = "fail")]
    reorder: bool,
    /// Send nothing: only the provider's record tells of the payment
    #[arg(long, conflicts_with_all = ["duplicate", "delay", "reorder"])]
    lose: bool,
}

/// How long the server may take to answer, as Razorpay waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it rests after each try that was not answered.
const RESTS: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

fn delay(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => config::duration("--delay", text),
    }
}

impl Pay {
    pub(in crate::cli) async fn run(
        self,
        home: &Home,
        app: &Arc<App>,
        output: Output,
    ) -> Result<()> {
        if app.gateway.name() != "mock" {
            return Err(Error::unavailable(
                "real Razorpay keys are set, and `shop admin pay` plays the mock provider only; pay \
                 in Razorpay's own checkout, which takes test cards with test keys",
            ));
        }
        if !self.lose && home.running()?.is_none() {
            return Err(nobody(app));
        }
        let order = find(app, &self.order).await?;
        let visit = Visit {
            fails: self.fail,
            fails_first: self.reorder,
            duplicates: self.duplicate,
            is_reordered: self.reorder,
        };
        let played = app
            .db
            .write("mock.pay", move |tx| play(tx, &order, visit))
            .await?;
        if !self.lose {
            if let Some(delay) = self.delay {
                tokio::time::sleep(delay).await;
            }
            let provider = Provider::new(home, app)?;
            for webhook in &played.webhooks {
                provider.deliver(webhook).await?;
            }
        }
        let order = find(app, &self.order).await?;
        output.one(&order, &self.words(&order, &played.payment_id))
    }

    /// What became of the order, and of the payment where that is not the same.
    fn words(&self, order: &Order, payment: &str) -> String {
        let (number, status) = (&order.number, order.status.as_str());
        let about = format!(
            "order {number} is {status}, its payment {}",
            order.payment.status.as_str()
        );
        let is_applied = match order.payment.transaction_id.as_deref() {
            Some(transaction) => transaction == payment,
            None => order.payment.status == PaymentStatus::Failed,
        };
        if self.lose {
            format!(
                "{about}; nothing was sent, `shop admin payments reconcile` finds {payment} in the \
                 provider's record"
            )
        } else if is_applied {
            about
        } else if self.fail {
            format!("{about}; {payment} failed too late to change that")
        } else {
            format!("{about}; {payment} paid a second time and is refunded automatically")
        }
    }
}

/// Sends webhooks to whatever server runs on the data directory.
struct Provider<'a> {
    home: &'a Home,
    app: &'a App,
    http: reqwest::Client,
}

impl<'a> Provider<'a> {
    fn new(home: &'a Home, app: &'a App) -> Result<Provider<'a>> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(Error::internal)?;
        Ok(Provider { home, app, http })
    }

    /// Sends until there is an answer, as often as it is worth a try.
    async fn deliver(&self, webhook: &Webhook) -> Result<()> {
        let mut rests = RESTS.iter();
        loop {
            let Err((error, is_final)) = self.send(webhook).await else {
                return Ok(());
            };
            match rests.next().filter(|_| !is_final) {
                Some(rest) => tokio::time::sleep(*rest).await,
                None => return Err(error),
            }
        }
    }

    /// Sends once; tells why that was nothing, and whether another try would be nothing either.
    async fn send(&self, webhook: &Webhook) -> Result<(), (Error, bool)> {
        // A server that was started anew listens elsewhere, maybe.
        let server = self.home.running().map_err(|error| (error, true))?;
        let server = server.ok_or_else(|| (nobody(self.app), false))?.url;
        let secret = self.app.webhook_secrets.first();
        let secret = secret.ok_or_else(|| (Error::internal("no secret for webhooks"), true))?;
        let answer = self
            .http
            .post(format!("{server}/api/v1/payments/razorpay/webhook"))
            .timeout(PATIENCE)
            .header("content-type", "application/json")
            .header(
                "x-razorpay-signature",
                signature::sign(secret, &webhook.body),
            )
            .header("x-razorpay-event-id", &webhook.event_id)
            .body(webhook.body.clone())
            .send()
            .await
            .map_err(|e| {
                let detail = format!("the server at {server} does not answer: {e}");
                (Error::unavailable(detail), false)
            })?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            503 => {
                let detail = format!("the server at {server} is too busy; try again later");
                Err((Error::unavailable(detail), false))
            }
            status => {
                let detail = format!(
                    "the server refused the webhook with {status}; does it use the same \
                     `SHOP_RAZORPAY_WEBHOOK_SECRET`?"
                );
                Err((Error::unavailable(detail), true))
            }
        }
    }
}

fn nobody(app: &App) -> Error {
    let directory = app.config.data_dir.display();
    Error::unavailable(format!(
        "no server is running on `{directory}`; run `shop serve`"
    ))
}

async fn find(app: &Arc<App>, name: &str) -> Result<Order> {
    let (shop, name) = (Arc::clone(app), name.to_owned());
    app.db
        .read("orders.by_name", move |tx| {
            orders::order_by_name(tx, &shop, &name)
        })
        .await
}

/// Lets a customer pay for an order at the mock provider, or try to.
pub(in crate::cli) fn play(tx: &mut Tx<'_>, order: &Order, visit: Visit) -> Result<Played> {
    let order_id = order.payment.provider_order_id.as_deref().ok_or_else(|| {
        Error::unavailable("the provider has no order for this one yet; try again")
    })?;
    visit.play(tx, order_id, order.payment.amount, order.currency)
}
