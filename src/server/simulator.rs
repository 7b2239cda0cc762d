//! The payment simulator of a demo: a customer pays for an order at the mock provider, and the provider's webhooks
//! arrive. The route exists only in a demo, and is not part of the API.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, response::Response, routing::post};
use http::StatusCode;
use serde::Deserialize;

use super::{DataDir, WebhookSender};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::OrderId,
    },
    domain::{orders, settlement::simulate_payment},
    infra::{
        ports::gateway::{SimulatedCheckout, Webhook},
        web::{
            extract::{Bearer, Json, NoQuery, Path},
            respond,
        },
    },
};

/// The most repeats of each webhook.
const MAX_DUPLICATES: u32 = 10;

/// The longest delay, in seconds.
const MAX_DELAY: u64 = 600;

/// What the customer does, and how the webhooks arrive; as the options of `shop admin pay`.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Simulation {
    /// The payment fails.
    fail: bool,
    /// How many times each webhook arrives again.
    duplicates: u32,
    /// The time until the webhooks arrive.
    delay_seconds: u64,
    /// No webhook arrives.
    lose: bool,
}

impl Simulation {
    fn check(self) -> Result<()> {
        let above = |field, max: u64| {
            let message = format!("must be a whole number from 0 to {max}");
            Err(Error::field(field, "invalid", message))
        };
        if self.duplicates > MAX_DUPLICATES {
            return above("duplicates", MAX_DUPLICATES.into());
        }
        if self.delay_seconds > MAX_DELAY {
            return above("delaySeconds", MAX_DELAY);
        }
        Ok(())
    }
}

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/demo/orders/{id}/pay", post(pay))
}

/// Pays for the customer's own order. The webhooks arrive after the response.
async fn pay(
    State(app): State<Arc<App>>,
    Bearer(claims): Bearer,
    Path(id): Path<OrderId>,
    _: NoQuery,
    Json(simulation): Json<Simulation>,
) -> Result<Response> {
    simulation.check()?;
    let checkout = SimulatedCheckout {
        fails: simulation.fail,
        duplicates: simulation.duplicates,
        ..SimulatedCheckout::default()
    };
    let payment = app
        .write_as(&claims, "mock.pay", move |tx, current| {
            let order = orders::order(tx, id, Some(current.id))?;
            simulate_payment(tx, &order, checkout)
        })
        .await?;
    if !simulation.lose {
        let delay = Duration::from_secs(simulation.delay_seconds);
        let delivery = deliver(Arc::clone(&app), payment.webhooks, delay);
        app.background_tasks.spawn(delivery);
    }
    let accepted = respond::to_json(&serde_json::json!({ "paymentId": payment.payment_id }))?;
    Ok(respond::json_bytes(StatusCode::ACCEPTED, accepted))
}

/// Delivers webhooks to this server, unless it stops before: then they are lost, as they may be in reality.
async fn deliver(app: Arc<App>, webhooks: Vec<Webhook>, delay: Duration) {
    let delivery = async {
        tokio::time::sleep(delay).await;
        let data_dir = DataDir::at(&app.config.data_dir);
        WebhookSender::new(&data_dir, &app)?
            .deliver(&webhooks)
            .await
    };
    if let Some(Err(error)) = app.stopping.run_until_cancelled(delivery).await {
        tracing::warn!(?error, "a simulated webhook was not delivered");
    }
}
