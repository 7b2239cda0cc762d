//! Razorpay (<https://razorpay.com/docs/api/>), and a mock that simulates it. The driver rejects responses that
//! do not match the request, and ids that could redirect a request.

mod entities;
mod mock;
pub mod signature;
mod webhook;

use futures_util::FutureExt;
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use self::{
    entities::{Collection, ErrorBody, Order, Refund},
    webhook::Webhooks,
};
pub use self::{
    mock::{CheckoutResult, Mock, SimulatedCheckout, SimulatedPayment, Webhook},
    webhook::INVALID_SIGNATURE,
};
use super::{
    Gateway, GatewayError, GatewayFuture, GatewayPayment, GatewayRefund, OrderRequest,
    RefundRequest, WebhookFormat,
};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        money::{Currency, Money},
        rng::Rng,
    },
    infra::{
        config::{Secret, both},
        ports::{Timeouts, http_client},
    },
};

/// The maximum size of a response, in bytes. A list of a thousand payments fits.
const MAX_RESPONSE_SIZE: usize = 4 * 1024 * 1024;

/// The page size of a list of refunds: the maximum; the default is ten
/// (<https://razorpay.com/docs/api/refunds/fetch-multiple-refund-payment/>).
const PAGE_SIZE: usize = 100;

/// The maximum number of refunds of one payment.
const MAX_REFUNDS: usize = 5000;

/// The maximum length of an id, in bytes.
const MAX_ID_LEN: usize = 64;

/// The maximum length of an error description, in characters.
const MAX_REASON_LEN: usize = 200;

#[derive(Debug)]
pub struct Razorpay {
    key_id: String,
    key_secret: Secret,
    /// The URL of its API, without a trailing slash.
    api: String,
    min_amount: Money,
    client: Client,
}

impl Razorpay {
    /// Returns the driver for an account. `api` has no trailing slash.
    ///
    /// Errors: a configuration error if a key is malformed.
    pub fn open(
        key_id: &str,
        key_secret: &Secret,
        api: &str,
        currency: Currency,
        timeouts: Timeouts,
    ) -> Result<Razorpay> {
        both(
            check_key("razorpay_key_id", key_id),
            check_key("razorpay_key_secret", key_secret.expose_secret()),
        )?;
        Ok(Razorpay {
            key_id: key_id.to_owned(),
            key_secret: key_secret.clone(),
            api: api.to_owned(),
            min_amount: min_amount(currency)?,
            client: http_client::client(timeouts).map_err(Error::internal)?,
        })
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, GatewayError> {
        let request = request.basic_auth(&self.key_id, Some(self.key_secret.expose_secret()));
        let sent = request.send().await;
        let response = sent.map_err(|error| transient(&http_client::why(error)))?;
        let status = response.status().as_u16();
        let body = http_client::read_all(response, MAX_RESPONSE_SIZE).await;
        let body = body.map_err(|reason| transient(&reason))?;
        if !(200..300).contains(&status) {
            return Err(error_of(status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|error| transient(&format!("cannot parse its response: {error}")))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, GatewayError> {
        self.call(self.client.get(format!("{}/v1/{path}", self.api)))
            .await
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client
            .post(format!("{}/v1/{path}", self.api))
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Returns the order that was created for this request before.
    async fn find_order(&self, request: &OrderRequest) -> Result<Option<Order>, GatewayError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("receipt", &request.receipt)
            .finish();
        let list: Collection<Order> = self.get(&format!("orders?{query}")).await?;
        Ok(list.items.into_iter().find(|order| order.matches(request)))
    }
}

impl Gateway for Razorpay {
    fn name(&self) -> &'static str {
        "razorpay"
    }

    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn min_amount(&self) -> Money {
        self.min_amount
    }

    fn offline_order_id(&self, _: Timestamp, _: &Rng) -> Option<String> {
        None
    }

    fn offline_refund_id(&self, _: &Rng) -> Option<String> {
        None
    }

    /// An earlier attempt may have created the order although its response was lost. Some accounts require unique
    /// receipts (<https://razorpay.com/docs/payments/payment-gateway/s2s-integration/test-s2s/error-index/>): a
    /// permanent error then leads to the existing order. Elsewhere a second order is created, and the first
    /// one is never shown to anyone.
    fn create_order<'a>(&'a self, request: &'a OrderRequest) -> GatewayFuture<'a, String> {
        async move {
            let body = json!({
                "amount": request.amount,
                "currency": request.currency,
                "receipt": request.receipt,
            });
            let created: Order = match self.call(self.post("orders", &body)).await {
                Err(error) if error.is_permanent() => {
                    self.find_order(request).await?.ok_or(error)?
                }
                created => created?,
            };
            if !created.matches(request) {
                return Err(transient("the created order does not match the request"));
            }
            received_id(created.id, "order_")
        }
        .boxed()
    }

    /// The key makes a repeated request idempotent, as long as its body is the same
    /// (<https://razorpay.com/docs/api/refunds/normal-refunds-idempotent/>).
    fn create_refund<'a>(&'a self, request: &'a RefundRequest) -> GatewayFuture<'a, GatewayRefund> {
        async move {
            let payment = stored_id(&request.payment_id, "pay_")?;
            let body = json!({ "amount": request.amount, "receipt": request.key });
            let call = self
                .post(&format!("payments/{payment}/refund"), &body)
                .header("x-refund-idempotency", &request.key);
            let raw: Value = self.call(call).await?;
            let created = Refund::deserialize(&raw)
                .map_err(|error| transient(&format!("cannot parse its response: {error}")))?;
            if created.payment_id != request.payment_id || created.amount != request.amount {
                return Err(transient("the created refund does not match the request"));
            }
            Ok(GatewayRefund {
                id: received_id(created.id, "rfnd_")?,
                status: webhook::refund_status(created.status.as_deref()),
                raw,
            })
        }
        .boxed()
    }

    fn list_payments<'a>(&'a self, order_id: &'a str) -> GatewayFuture<'a, Vec<GatewayPayment>> {
        async move {
            let path = format!("orders/{}/payments", stored_id(order_id, "order_")?);
            let list: Collection<Value> = self.get(&path).await?;
            let payments = check_owner(list.items, "order_id", order_id)?;
            Ok(payments.into_iter().map(webhook::payment).collect())
        }
        .boxed()
    }

    fn list_refunds<'a>(&'a self, payment_id: &'a str) -> GatewayFuture<'a, Vec<GatewayRefund>> {
        async move {
            let path = format!("payments/{}/refunds", stored_id(payment_id, "pay_")?);
            let mut refunds = Vec::new();
            while refunds.len() < MAX_REFUNDS {
                let page = format!("{path}?count={PAGE_SIZE}&skip={}", refunds.len());
                let list: Collection<Value> = self.get(&page).await?;
                let is_last = list.items.len() < PAGE_SIZE;
                let items = check_owner(list.items, "payment_id", payment_id)?;
                refunds.extend(items.into_iter().map(webhook::refund));
                if is_last {
                    return Ok(refunds);
                }
            }
            Err(transient("its list of refunds is too long"))
        }
        .boxed()
    }

    fn check(&self) -> GatewayFuture<'_, ()> {
        async move {
            let _: Collection<Value> = self.get("payments?count=1").await?;
            Ok(())
        }
        .boxed()
    }

    fn webhooks(&self) -> &dyn WebhookFormat {
        &Webhooks
    }
}

/// Returns one rupee (<https://razorpay.com/docs/payments/payment-gateway/s2s-integration/test-s2s/error-index/>).
/// In other currencies Razorpay itself rejects what is too small.
fn min_amount(currency: Currency) -> Result<Money> {
    let min = if currency == Currency::INR { 100 } else { 1 };
    Money::try_from(min).map_err(Error::internal)
}

/// Returns whether the text can be an id with that prefix. Such an id is safe in a URL path.
fn is_id(text: &str, prefix: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.len() <= MAX_ID_LEN
        && text
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_allowed))
}

/// Checks an id from the shop's database.
fn stored_id<'a>(id: &'a str, prefix: &str) -> Result<&'a str, GatewayError> {
    if is_id(id, prefix) {
        return Ok(id);
    }
    let id = id.escape_debug().take(MAX_REASON_LEN).collect::<String>();
    Err(GatewayError::Permanent(format!(
        "`{id}` is not a Razorpay id with the prefix `{prefix}`"
    )))
}

/// Checks an id in a response.
fn received_id(id: String, prefix: &str) -> Result<String, GatewayError> {
    if is_id(&id, prefix) {
        Ok(id)
    } else {
        Err(transient("malformed id in the response"))
    }
}

/// Errors: `Config` if a part of a key is malformed.
fn check_key(setting: &str, key: &str) -> Result<()> {
    // HTTP Basic separates the user name by the first colon (RFC 7617).
    let is_valid = |b: u8| b.is_ascii_graphic() && b != b':';
    if !key.is_empty() && key.bytes().all(is_valid) {
        return Ok(());
    }
    Err(Error::config(format!(
        "`{setting}` is not a Razorpay key; copy it again from the dashboard"
    )))
}

/// Checks that all items of a list belong to what was requested.
fn check_owner(items: Vec<Value>, field: &str, id: &str) -> Result<Vec<Value>, GatewayError> {
    if items.iter().all(|item| item[field] == id) {
        Ok(items)
    } else {
        Err(transient("its list has items that were not requested"))
    }
}

fn error_of(status: u16, body: &[u8]) -> GatewayError {
    let description = serde_json::from_slice::<ErrorBody>(body).map(|body| body.error.description);
    // An operator can correct keys, and a refund with the same key may still be in progress (409). A response in
    // another format comes from a proxy.
    let is_transient = matches!(status, 401 | 403 | 408 | 409 | 425 | 429) || description.is_err();
    let description = description.unwrap_or_else(|_| "no reason given".to_owned());
    let reason = format!("{status}: {description}");
    if (400..500).contains(&status) && !is_transient {
        GatewayError::Permanent(one_line(&reason))
    } else {
        transient(&reason)
    }
}

fn transient(reason: &str) -> GatewayError {
    GatewayError::Transient(one_line(reason))
}

/// Returns the reason as one short line, for logs.
fn one_line(reason: &str) -> String {
    let line = reason
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_REASON_LEN);
    format!("razorpay: {}", line.collect::<String>())
}
