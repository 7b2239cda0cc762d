//! The payment provider: requests, responses and errors of the driver, and a shop that uses it.

mod driver;
mod earlier_jobs;
mod errors;
mod failed_refunds;
mod jobs;
mod settings;
mod shop;

use std::time::Duration;

use ::shop::{
    core::money::{Currency, Money},
    infra::{
        config::Secret,
        ports::{
            Gateway, Razorpay as Driver, Timeouts,
            gateway::{OrderRequest, RefundRequest},
        },
    },
};
use serde_json::Value;

use crate::support::Razorpay;

fn money(paise: i64) -> Money {
    Money::try_from(paise).unwrap()
}

/// Returns a driver for that URL with short timeouts.
fn driver_at(url: &str, key_secret: &str, key_id: &str) -> Driver {
    let timeouts = Timeouts {
        connecting: Duration::from_millis(500),
        whole: Duration::from_millis(500),
    };
    let secret = Secret::from(key_secret);
    Driver::open(key_id, &secret, url, Currency::INR, timeouts).unwrap()
}

fn driver(host: &Razorpay) -> Driver {
    let (id, secret) = Razorpay::KEYS;
    driver_at(host.url(), secret, id)
}

fn order(paise: i64, receipt: &str) -> OrderRequest {
    OrderRequest {
        amount: money(paise),
        currency: "INR",
        receipt: receipt.to_owned(),
    }
}

fn refund(payment: &Value, paise: i64, key: &str) -> RefundRequest {
    RefundRequest {
        payment_id: id(payment),
        amount: money(paise),
        key: key.to_owned(),
    }
}

fn id(entity: &Value) -> String {
    entity["id"].as_str().unwrap().to_owned()
}

/// Returns a fake with one paid order of 500, and the payment.
async fn paid() -> (Razorpay, Driver, Value) {
    let host = Razorpay::start().await;
    let driver = driver(&host);
    let made = driver.create_order(&order(500, "7K3M-9QXD")).await.unwrap();
    let payment = host.pay(&made);
    (host, driver, payment)
}
