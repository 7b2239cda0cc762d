//! A fake Razorpay server. It validates requests as the vendor documents, keeps a record, and can be made to
//! misbehave.

mod record;

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{OriginalUri, Path, Query, State},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::record::{Record, Webhook};

const KEY: &str = "rzp_test_1DP5mmOlF5G5ag";
const SECRET: &str = "thisissupersecret-of-the-fake";
const WEBHOOK_SECRET: &str = "whsec-of-the-fake";

/// How the server behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behavior {
    Normal,
    /// Does nothing and responds with this status.
    Status(u16),
    /// Does nothing and never responds.
    Silent,
    /// Does nothing and closes the connection.
    Down,
    /// Processes the request and closes the connection instead of responding.
    DropResponse,
    /// Processes the request and sends half of the response.
    TruncateResponse,
    /// Responds with another entity.
    WrongEntity,
    /// Responds with ids that contain a path.
    WrongId,
    Redirect,
    /// The HTML page of a proxy, with this status.
    ProxyPage(u16),
}

#[derive(Clone)]
pub(crate) struct Razorpay(Arc<Inner>);

struct Inner {
    url: String,
    behavior: Mutex<Behavior>,
    record: Mutex<Record>,
    requests: Mutex<Vec<String>>,
}

impl Razorpay {
    /// Starts the server on a free local port, until the test ends.
    pub(crate) async fn start() -> Razorpay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Razorpay(Arc::new(Inner {
            url: format!("http://{}", listener.local_addr().unwrap()),
            behavior: Mutex::new(Behavior::Normal),
            record: Mutex::default(),
            requests: Mutex::default(),
        }));
        let router = Router::new()
            .route("/v1/orders", post(create_order).get(list_orders))
            .route("/v1/orders/{id}/payments", get(list_payments))
            .route("/v1/payments/{id}/refund", post(create_refund))
            .route("/v1/payments/{id}/refunds", get(list_refunds))
            .fallback(async || refuse(400, "The requested URL was not found on the server."))
            .layer(middleware::from_fn_with_state(host.clone(), authenticate))
            .with_state(host.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    /// Returns the URL of its API.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// The key id and secret of its account.
    pub(crate) const KEYS: (&str, &str) = (KEY, SECRET);

    /// Returns the settings of a shop that uses this server, without rate limits.
    pub(crate) fn settings(&self) -> [(&str, &str); 5] {
        [
            ("rate_limit", "off"),
            ("razorpay_key_id", KEY),
            ("razorpay_key_secret", SECRET),
            ("razorpay_webhook_secret", WEBHOOK_SECRET),
            ("razorpay_api_url", self.url()),
        ]
    }

    pub(crate) fn set_behavior(&self, behavior: Behavior) {
        *self.0.behavior.lock().unwrap() = behavior;
    }

    /// Returns all requests, e.g. `POST /v1/orders`, whatever the behavior was.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.0.requests.lock().unwrap().clone()
    }

    /// Sets the status of new refunds, `processed` by default.
    pub(crate) fn set_refund_status(&self, status: &'static str) {
        self.with(|record| record.new_refund_status = status);
    }

    /// Returns its orders, oldest first.
    pub(crate) fn orders(&self) -> Vec<Value> {
        self.with(|record| record.orders.clone())
    }

    /// Returns its payments, oldest first.
    pub(crate) fn payments(&self) -> Vec<Value> {
        self.with(|record| record.payments.clone())
    }

    /// Returns its refunds, oldest first.
    pub(crate) fn refunds(&self) -> Vec<Value> {
        self.with(|record| record.refunds.clone())
    }

    /// A customer pays an order. Returns the payment.
    pub(crate) fn pay(&self, order_id: &str) -> Value {
        self.with(|record| record.pay(order_id, true))
    }

    /// A customer's payment fails. Returns the payment.
    pub(crate) fn fail(&self, order_id: &str) -> Value {
        self.with(|record| record.pay(order_id, false))
    }

    /// Someone refunds in the dashboard. Returns the refund.
    pub(crate) fn refund_in_dashboard(&self, payment_id: &str, amount: i64) -> Value {
        let refund = json!({ "amount": amount });
        self.with(|record| record.refund(payment_id, &refund))
            .unwrap()
    }

    /// Finishes a refund as `processed` or `failed`. Returns it.
    pub(crate) fn finish_refund(&self, refund_id: &str, status: &str) -> Value {
        self.with(|record| record.finish_refund(refund_id, status))
    }

    /// Returns a webhook about the current state of a payment (`payment.…`, `order.paid`) or refund (`refund.…`),
    /// with a new event id each time.
    pub(crate) fn webhook(&self, name: &str, id: &str) -> Webhook {
        self.with(|record| record.webhook(name, id))
    }

    fn with<T>(&self, run: impl FnOnce(&mut Record) -> T) -> T {
        run(&mut self.0.record.lock().unwrap())
    }
}

/// Applies the behavior and checks the credentials.
async fn authenticate(
    State(host): State<Razorpay>,
    OriginalUri(uri): OriginalUri,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let received = format!("{} {uri}", request.method());
    host.0.requests.lock().unwrap().push(received);
    let behavior = *host.0.behavior.lock().unwrap();
    match behavior {
        Behavior::Status(status) => return refuse(status, "Not today\nnor tomorrow"),
        Behavior::ProxyPage(status) => {
            let status = StatusCode::from_u16(status).unwrap();
            return (status, "<html>Of a proxy</html>").into_response();
        }
        Behavior::Silent => std::future::pending().await,
        Behavior::Down => drop_connection(),
        Behavior::Redirect => {
            return Redirect::temporary(&format!("{}/elsewhere", host.url())).into_response();
        }
        _ => {}
    }
    let expected = base64::engine::general_purpose::STANDARD.encode(format!("{KEY}:{SECRET}"));
    let given = request.headers().get("authorization");
    if given.is_none_or(|given| given != &format!("Basic {expected}")) {
        return refuse(401, "Authentication failed");
    }
    let answer = next.run(request).await;
    match behavior {
        Behavior::DropResponse => drop_connection(),
        Behavior::TruncateResponse => "{\"id\":\"order_".into_response(),
        _ => answer,
    }
}

/// Panics in the handler, so that the server closes the connection.
fn drop_connection() -> ! {
    std::panic::resume_unwind(Box::new("dropped"))
}

async fn create_order(State(host): State<Razorpay>, headers: HeaderMap, body: Bytes) -> Response {
    let body = match read(&headers, &body, &["amount", "currency", "receipt", "notes"]) {
        Ok(body) => body,
        Err(why) => return refuse(400, &why),
    };
    answer(&host, host.with(|record| record.order(&body)))
}

async fn create_refund(
    State(host): State<Razorpay>,
    Path(payment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = match read(&headers, &body, &["amount", "receipt", "notes", "speed"]) {
        Ok(body) => body,
        Err(why) => return refuse(400, &why),
    };
    let key = headers.get("x-refund-idempotency");
    let key = key.map(|key| key.to_str().unwrap().to_owned());
    answer(
        &host,
        host.with(|record| record.refund_once(&payment, &body, key)),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default = "ten")]
    count: usize,
    #[serde(default)]
    skip: usize,
    receipt: Option<String>,
}

fn ten() -> usize {
    10
}

async fn list_orders(State(host): State<Razorpay>, Query(page): Query<Page>) -> Response {
    let mut list = host.orders();
    list.retain(|order| {
        page.receipt
            .as_ref()
            .is_none_or(|it| order["receipt"] == *it)
    });
    collection(&host, list, &page)
}

async fn list_payments(State(host): State<Razorpay>, Path(id): Path<String>) -> Response {
    if !host.orders().iter().any(|order| order["id"] == id) {
        return refuse(400, "The id provided does not exist");
    }
    let mut list = host.payments();
    list.retain(|payment| payment["order_id"] == id);
    let all = Page {
        count: usize::MAX,
        skip: 0,
        receipt: None,
    };
    collection(&host, list, &all)
}

async fn list_refunds(
    State(host): State<Razorpay>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Response {
    if !host.payments().iter().any(|payment| payment["id"] == id) {
        return refuse(400, "The id provided does not exist");
    }
    if page.count > 100 {
        return refuse(400, "The count may not be greater than 100.");
    }
    let mut list = host.refunds();
    list.retain(|refund| refund["payment_id"] == id);
    collection(&host, list, &page)
}

/// Returns a list, newest first.
fn collection(host: &Razorpay, list: Vec<Value>, page: &Page) -> Response {
    let shown = list.into_iter().rev().skip(page.skip).take(page.count);
    let items: Vec<Value> = shown.map(|item| distort(host, item)).collect();
    Json(json!({ "entity": "collection", "count": items.len(), "items": items })).into_response()
}

/// Parses a JSON body that has only known keys.
fn read(headers: &HeaderMap, body: &[u8], known: &[&str]) -> Result<Value, String> {
    if headers
        .get("content-type")
        .is_none_or(|it| it != "application/json")
    {
        return Err("The content type is not supported".to_owned());
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let keys = body.as_object().ok_or("an object is required")?.keys();
    match keys.into_iter().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{key} is/are not required and should not be sent")),
        None => Ok(body),
    }
}

fn answer(host: &Razorpay, result: Result<Value, String>) -> Response {
    match result {
        Ok(entity) => Json(distort(host, entity)).into_response(),
        Err(why) => refuse(400, &why),
    }
}

/// Returns the entity as the behavior shows it.
fn distort(host: &Razorpay, mut entity: Value) -> Value {
    match *host.0.behavior.lock().unwrap() {
        Behavior::WrongEntity => {
            entity["amount"] = json!(entity["amount"].as_i64().unwrap() + 1);
            for owner in ["order_id", "payment_id"] {
                if entity[owner].is_string() {
                    entity[owner] = json!("order_of_somebody_else");
                }
            }
        }
        Behavior::WrongId => {
            let id = entity["id"].as_str().unwrap();
            entity["id"] = json!(format!("{id}/../../elsewhere"));
        }
        _ => {}
    }
    entity
}

fn refuse(status: u16, why: &str) -> Response {
    let code = match status {
        500.. => "SERVER_ERROR",
        _ => "BAD_REQUEST_ERROR",
    };
    let body = json!({ "error": {
        "code": code, "description": why, "source": "business", "step": "payment_initiation",
        "reason": "input_validation_failed", "metadata": {},
    } });
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}
