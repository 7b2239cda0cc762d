//! Razorpay (<https://razorpay.com/docs/api/>). It believes no answer that is not about what was asked,
//! and lets neither the key nor an id of anybody else's making lead a request astray.

use futures_util::{FutureExt, future::BoxFuture};
use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Gateway, OrderToMake, RefundMade, RefundToMake};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        money::{Currency, Money},
        rng::Rng,
    },
    infra::{
        config::Secret,
        ports::{
            Refusal,
            wire::{self, Timeouts},
        },
    },
};

/// The largest answer that is read, in bytes: a thousand tries to pay one order.
const MOST_ANSWER: usize = 4 * 1024 * 1024;

/// How many refunds it lists at once, which is the most; without being told it lists ten
/// (<https://razorpay.com/docs/api/refunds/fetch-multiple-refund-payment/>).
const PAGE: usize = 100;

/// How many refunds of one payment are believed.
const MOST_REFUNDS: usize = 5000;

/// The longest id.
const MOST_ID: usize = 64;

/// What is shown of its words, in letters.
const MOST_WORDS: usize = 200;

#[derive(Debug)]
pub struct Razorpay {
    key_id: String,
    key_secret: Secret,
    /// Where its API is, without a slash at the end.
    api: String,
    least: Money,
    client: Client,
}

/// What an order is answered with.
#[derive(Deserialize)]
struct Ordered {
    id: String,
    amount: Money,
    currency: String,
    receipt: Option<String>,
}

/// What a refund is answered with.
#[derive(Deserialize)]
struct Refunded {
    id: String,
    payment_id: String,
    amount: Money,
    status: Option<String>,
}

/// A list.
#[derive(Deserialize)]
struct Collection<T> {
    items: Vec<T>,
}

/// How it says why not (<https://razorpay.com/docs/errors/>).
#[derive(Deserialize)]
struct Refused {
    error: Words,
}

#[derive(Deserialize)]
struct Words {
    description: String,
}

impl Ordered {
    fn is(&self, order: &OrderToMake) -> bool {
        self.amount == order.amount
            && self.currency == order.currency
            && self.receipt.as_ref() == Some(&order.receipt)
    }
}

impl Razorpay {
    /// With the keys of an account; `api` has no slash at its end.
    pub fn open(
        key_id: &str,
        key_secret: &Secret,
        api: &str,
        currency: Currency,
        patience: Timeouts,
    ) -> Result<Razorpay> {
        // What is before the first colon is the name that HTTP signs in by (RFC 7617).
        let is_key = |key: &str| key.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        for (name, key) in [("id", key_id), ("secret", &key_secret.0)] {
            if key.is_empty() || !is_key(key) {
                return Err(Error::config(format!(
                    "`razorpay_key_{name}` is no key of Razorpay's; copy it anew from the dashboard"
                )));
            }
        }
        Ok(Razorpay {
            key_id: key_id.to_owned(),
            key_secret: key_secret.clone(),
            api: api.to_owned(),
            least: least(currency)?,
            client: wire::client(patience).map_err(Error::internal)?,
        })
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Refusal> {
        let request = request.basic_auth(&self.key_id, Some(&self.key_secret.0));
        let sent = request.send().await;
        let response = sent.map_err(|error| passing(&wire::why(error)))?;
        let status = response.status().as_u16();
        let body = wire::whole(response, MOST_ANSWER).await;
        let body = body.map_err(|why| passing(&why))?;
        if !(200..300).contains(&status) {
            return Err(refusal(status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|error| passing(&format!("its answer makes no sense: {error}")))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        self.call(self.client.get(format!("{}/v1/{path}", self.api)))
            .await
    }

    /// The order that it has made for this one already.
    async fn made(&self, order: &OrderToMake) -> Result<Option<Ordered>, Refusal> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("receipt", &order.receipt)
            .finish();
        let list: Collection<Ordered> = self.get(&format!("orders?{query}")).await?;
        Ok(list.items.into_iter().find(|made| made.is(order)))
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client
            .post(format!("{}/v1/{path}", self.api))
            .header("content-type", "application/json")
            .body(body.to_string())
    }
}

impl Gateway for Razorpay {
    fn name(&self) -> &'static str {
        "razorpay"
    }

    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn least(&self) -> Money {
        self.least
    }

    fn order_id_at_once(&self, _: Timestamp, _: &Rng) -> Option<String> {
        None
    }

    fn refund_id_at_once(&self, _: &Rng) -> Option<String> {
        None
    }

    /// An earlier try may have made it and its answer be lost: accounts are to be had where a receipt is
    /// unique (<https://razorpay.com/docs/payments/payment-gateway/s2s-integration/test-s2s/error-index/>).
    /// Elsewhere a second order is made, and nobody knows of the first, so nobody pays it.
    fn make_order<'a>(&'a self, order: &'a OrderToMake) -> BoxFuture<'a, Result<String, Refusal>> {
        async move {
            let body = json!({
                "amount": order.amount,
                "currency": order.currency,
                "receipt": order.receipt,
            });
            let made: Ordered = match self.call(self.post("orders", &body)).await {
                Err(refusal) if refusal.is_final => self.made(order).await?.ok_or(refusal)?,
                made => made?,
            };
            if !made.is(order) {
                return Err(passing("it made another order than it was asked for"));
            }
            heard(made.id, "order_")
        }
        .boxed()
    }

    /// The key makes a refund that is asked for twice one refund, as long as its body is the same
    /// (<https://razorpay.com/docs/api/refunds/normal-refunds-idempotent/>).
    fn refund<'a>(
        &'a self,
        refund: &'a RefundToMake,
    ) -> BoxFuture<'a, Result<RefundMade, Refusal>> {
        async move {
            let path = format!("payments/{}/refund", known(&refund.payment_id, "pay_")?);
            let body = json!({ "amount": refund.amount, "receipt": refund.key });
            let request = self
                .post(&path, &body)
                .header("x-refund-idempotency", &refund.key);
            let made: Refunded = self.call(request).await?;
            if made.payment_id != refund.payment_id || made.amount != refund.amount {
                return Err(passing("it made another refund than it was asked for"));
            }
            Ok(RefundMade {
                id: heard(made.id, "rfnd_")?,
                succeeded: match made.status.as_deref() {
                    Some("processed") => Some(true),
                    Some("failed") => Some(false),
                    _ => None,
                },
            })
        }
        .boxed()
    }

    fn payments<'a>(&'a self, order_id: &'a str) -> BoxFuture<'a, Result<Vec<Value>, Refusal>> {
        async move {
            let path = format!("orders/{}/payments", known(order_id, "order_")?);
            let list: Collection<Value> = self.get(&path).await?;
            of(list.items, "order_id", order_id)
        }
        .boxed()
    }

    fn refunds<'a>(&'a self, payment_id: &'a str) -> BoxFuture<'a, Result<Vec<Value>, Refusal>> {
        async move {
            let path = format!("payments/{}/refunds", known(payment_id, "pay_")?);
            let mut all = Vec::new();
            while all.len() < MOST_REFUNDS {
                let page = format!("{path}?count={PAGE}&skip={}", all.len());
                let list: Collection<Value> = self.get(&page).await?;
                let is_last = list.items.len() < PAGE;
                all.extend(of(list.items, "payment_id", payment_id)?);
                if is_last {
                    return Ok(all);
                }
            }
            Err(passing("its list of refunds has no end"))
        }
        .boxed()
    }
}

/// A rupee (<https://razorpay.com/docs/payments/payment-gateway/s2s-integration/test-s2s/error-index/>).
/// What it does not take in another currency, it says by itself.
fn least(currency: Currency) -> Result<Money> {
    let least = if currency == Currency::INR { 100 } else { 1 };
    Money::try_from(least).map_err(Error::internal)
}

/// Whether it can be an id of that kind, and be put into a path: nothing in it has a meaning there.
fn is_id(text: &str, prefix: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.len() <= MOST_ID
        && text
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_letter))
}

/// An id that the shop has kept.
fn known<'a>(id: &'a str, prefix: &str) -> Result<&'a str, Refusal> {
    if is_id(id, prefix) {
        return Ok(id);
    }
    let id = id.escape_debug().take(MOST_WORDS).collect::<String>();
    Err(Refusal::lasting(format!(
        "`{id}` is no id of razorpay's, which begin with `{prefix}`"
    )))
}

/// An id that is in an answer.
fn heard(id: String, prefix: &str) -> Result<String, Refusal> {
    if is_id(&id, prefix) {
        Ok(id)
    } else {
        Err(passing("it answers with an id that is none"))
    }
}

/// What is in a list, if all of it belongs to what was asked for.
fn of(items: Vec<Value>, owner: &str, id: &str) -> Result<Vec<Value>, Refusal> {
    if items.iter().all(|item| item[owner] == id) {
        Ok(items)
    } else {
        Err(passing("it lists what was not asked for"))
    }
}

fn refusal(status: u16, body: &[u8]) -> Refusal {
    let told = serde_json::from_slice::<Refused>(body).map(|it| it.error.description);
    // Keys can be mended, and a refund with the same key can still be under way (409). What does not
    // speak as Razorpay does stands between.
    let passes = matches!(status, 401 | 403 | 408 | 409 | 425 | 429) || told.is_err();
    let words = told.unwrap_or_else(|_| "it does not say why".to_owned());
    let why = format!("{status}: {words}");
    if (400..500).contains(&status) && !passes {
        Refusal::lasting(line(&why))
    } else {
        passing(&why)
    }
}

fn passing(why: &str) -> Refusal {
    Refusal::passing(line(why))
}

/// One line for an operator, however much there is to say.
fn line(why: &str) -> String {
    let words = why.chars().filter(|c| !c.is_control()).take(MOST_WORDS);
    format!("razorpay: {}", words.collect::<String>())
}
