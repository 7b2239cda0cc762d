//! Razorpay's stand-in: it checks what it is asked as the vendor documents it, keeps books, and can be
//! made to misbehave.

mod books;

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

use self::books::{Books, Told};

const KEY: &str = "rzp_test_1DP5mmOlF5G5ag";
const SECRET: &str = "thisissupersecret-of-the-stand-in";
const WEBHOOK_SECRET: &str = "whsec-of-the-stand-in";

/// How it behaves from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Honest,
    /// It does nothing, whoever asks, and says so with this status.
    Refusing(u16),
    /// It never answers, and does nothing.
    Silent,
    /// It ends the connection in the middle of a request, and does nothing.
    Down,
    /// It does what it is asked for, and ends the connection instead of answering.
    Losing,
    /// It does what it is asked for, and answers half of it.
    Babbling,
    /// It tells of something else than it was asked for.
    Lying,
    /// It answers ids that would lead elsewhere.
    Misnaming,
    /// It sends the client elsewhere.
    Redirecting,
    /// A page of something that stands between, with this status.
    RawDb(u16),
}

#[derive(Clone)]
pub(crate) struct Razorpay(Arc<Inner>);

struct Inner {
    url: String,
    mood: Mutex<Mood>,
    books: Mutex<Books>,
    requests: Mutex<Vec<String>>,
}

impl Razorpay {
    /// On a free port of this machine, until the test ends.
    pub(crate) async fn start() -> Razorpay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Razorpay(Arc::new(Inner {
            url: format!("http://{}", listener.local_addr().unwrap()),
            mood: Mutex::new(Mood::Honest),
            books: Mutex::default(),
            requests: Mutex::default(),
        }));
        let router = Router::new()
            .route("/v1/orders", post(make_order).get(list_orders))
            .route("/v1/orders/{id}/payments", get(list_payments))
            .route("/v1/payments/{id}/refund", post(make_refund))
            .route("/v1/payments/{id}/refunds", get(list_refunds))
            .fallback(async || refuse(400, "The requested URL was not found on the server."))
            .layer(middleware::from_fn_with_state(host.clone(), door))
            .with_state(host.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    /// Where its API is.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// The id and the secret of the account that it knows.
    pub(crate) const KEYS: (&str, &str) = (KEY, SECRET);

    /// What a shop's settings are to be, beside which there are no limits.
    pub(crate) fn settings(&self) -> [(&str, &str); 5] {
        [
            ("rate_limit", "off"),
            ("razorpay_key_id", KEY),
            ("razorpay_key_secret", SECRET),
            ("razorpay_webhook_secret", WEBHOOK_SECRET),
            ("razorpay_api_url", self.url()),
        ]
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.0.mood.lock().unwrap() = mood;
    }

    /// What it was asked for, as `POST /v1/orders`, in whatever mood it was.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.0.requests.lock().unwrap().clone()
    }

    /// The status that a refund has when it is made; at first `processed`.
    pub(crate) fn refunds_are(&self, status: &'static str) {
        self.books(|books| books.fresh_refund = status);
    }

    /// Its orders, the oldest first.
    pub(crate) fn orders(&self) -> Vec<Value> {
        self.books(|books| books.orders.clone())
    }

    /// Its payments, the oldest first.
    pub(crate) fn payments(&self) -> Vec<Value> {
        self.books(|books| books.payments.clone())
    }

    /// Its refunds, the oldest first.
    pub(crate) fn refunds(&self) -> Vec<Value> {
        self.books(|books| books.refunds.clone())
    }

    /// A customer pays all of an order; gives the payment's entity.
    pub(crate) fn pay(&self, order_id: &str) -> Value {
        self.books(|books| books.pay(order_id, true))
    }

    /// A customer tries to pay an order and cannot; gives the payment's entity.
    pub(crate) fn fail(&self, order_id: &str) -> Value {
        self.books(|books| books.pay(order_id, false))
    }

    /// Somebody refunds by hand in the dashboard; gives the refund's entity.
    pub(crate) fn refund_elsewhere(&self, payment_id: &str, amount: i64) -> Value {
        let refund = json!({ "amount": amount });
        self.books(|books| books.refund(payment_id, &refund))
            .unwrap()
    }

    /// A refund comes to its end, `processed` or `failed`; gives its entity.
    pub(crate) fn settle(&self, refund_id: &str, status: &str) -> Value {
        self.books(|books| books.settle(refund_id, status))
    }

    /// What it says of a payment (`payment.…`, `order.paid`) or a refund (`refund.…`) as it is now, with an
    /// id of its own each time.
    pub(crate) fn tells(&self, name: &str, id: &str) -> Told {
        self.books(|books| books.tell(name, id))
    }

    fn books<T>(&self, with: impl FnOnce(&mut Books) -> T) -> T {
        with(&mut self.0.books.lock().unwrap())
    }
}

/// What every request goes through: the mood, and who asks.
async fn door(
    State(host): State<Razorpay>,
    OriginalUri(uri): OriginalUri,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let asked = format!("{} {uri}", request.method());
    host.0.requests.lock().unwrap().push(asked);
    let mood = *host.0.mood.lock().unwrap();
    match mood {
        Mood::Refusing(status) => return refuse(status, "Not today\nnor tomorrow"),
        Mood::RawDb(status) => {
            let status = StatusCode::from_u16(status).unwrap();
            return (status, "<html>Of a proxy</html>").into_response();
        }
        Mood::Silent => std::future::pending().await,
        Mood::Down => drop_connection(),
        Mood::Redirecting => {
            return Redirect::temporary(&format!("{}/elsewhere", host.url())).into_response();
        }
        _ => {}
    }
    let wanted = base64::engine::general_purpose::STANDARD.encode(format!("{KEY}:{SECRET}"));
    let given = request.headers().get("authorization");
    if given.is_none_or(|given| given != &format!("Basic {wanted}")) {
        return refuse(401, "Authentication failed");
    }
    let answer = next.run(request).await;
    match mood {
        Mood::Losing => drop_connection(),
        Mood::Babbling => "{\"id\":\"order_".into_response(),
        _ => answer,
    }
}

/// The server ends a connection whose handler is gone.
fn drop_connection() -> ! {
    std::panic::resume_unwind(Box::new("dropped"))
}

async fn make_order(State(host): State<Razorpay>, headers: HeaderMap, body: Bytes) -> Response {
    let body = match read(&headers, &body, &["amount", "currency", "receipt", "notes"]) {
        Ok(body) => body,
        Err(why) => return refuse(400, &why),
    };
    answer(&host, host.books(|books| books.order(&body)))
}

async fn make_refund(
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
        host.books(|books| books.refund_once(&payment, &body, key)),
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

/// A list, the newest first.
fn collection(host: &Razorpay, list: Vec<Value>, page: &Page) -> Response {
    let shown = list.into_iter().rev().skip(page.skip).take(page.count);
    let items: Vec<Value> = shown.map(|item| told(host, item)).collect();
    Json(json!({ "entity": "collection", "count": items.len(), "items": items })).into_response()
}

/// A body of JSON with no other keys than these.
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

fn answer(host: &Razorpay, made: Result<Value, String>) -> Response {
    match made {
        Ok(entity) => Json(told(host, entity)).into_response(),
        Err(why) => refuse(400, &why),
    }
}

/// An entity as its mood shows it.
fn told(host: &Razorpay, mut entity: Value) -> Value {
    match *host.0.mood.lock().unwrap() {
        Mood::Lying => {
            entity["amount"] = json!(entity["amount"].as_i64().unwrap() + 1);
            for owner in ["order_id", "payment_id"] {
                if entity[owner].is_string() {
                    entity[owner] = json!("order_of_somebody_else");
                }
            }
        }
        Mood::Misnaming => {
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
