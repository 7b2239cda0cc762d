//! Delivers the mock provider's signed webhooks to the server that runs on a data directory, as Razorpay would.

use std::time::Duration;

use super::{DataDir, RunningServer, running_server};
use crate::{
    app::App,
    core::error::{Error, Result},
    domain::settlement::WEBHOOK_PATH,
    infra::ports::gateway::Webhook,
};

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

/// Delivers webhooks to the server that runs on the data directory.
pub struct WebhookSender<'a> {
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
    pub fn new(data_dir: &'a DataDir, app: &'a App) -> Result<WebhookSender<'a>> {
        let http = running_server::client()?;
        Ok(WebhookSender {
            data_dir,
            app,
            http,
        })
    }

    /// Returns the server. Errors: `Unavailable` if none is running.
    pub fn server(&self) -> Result<RunningServer> {
        self.data_dir.running_server()?.ok_or_else(|| {
            let data_dir = self.app.config.data_dir.display();
            Error::unavailable(format!(
                "no server is running on `{data_dir}`; start it with `shop serve`"
            ))
        })
    }

    /// Sends webhooks in order, each with retries.
    ///
    /// Errors: `CommandFailed` if the server rejects one; `Unavailable` if it does not answer until the last attempt.
    pub async fn deliver(&self, webhooks: &[Webhook]) -> Result<()> {
        for webhook in webhooks {
            self.deliver_one(webhook).await?;
        }
        Ok(())
    }

    async fn deliver_one(&self, webhook: &Webhook) -> Result<()> {
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
        let url = self.server().map_err(Transient)?.url;
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
