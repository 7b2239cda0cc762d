//! The payment provider: what the driver asks of it, what it believes, and what it makes of refusals.

mod driver;
mod refusals;
mod settings;
mod settled;
mod shop;

use std::time::Duration;

use ::shop::{
    core::money::{Currency, Money},
    infra::{
        config::Secret,
        ports::{
            Gateway, Razorpay as Driver, Timeouts,
            gateway::{OrderToMake, RefundToMake},
        },
    },
};
use serde_json::Value;

use crate::support::Razorpay;

fn money(paise: i64) -> Money {
    Money::try_from(paise).unwrap()
}

/// The driver at that address, which does not wait long.
fn driver_at(url: &str, key_secret: &str, key_id: &str) -> Driver {
    let patience = Timeouts {
        connecting: Duration::from_millis(500),
        whole: Duration::from_millis(500),
    };
    let secret = Secret(key_secret.to_owned());
    Driver::open(key_id, &secret, url, Currency::INR, patience).unwrap()
}

fn driver(host: &Razorpay) -> Driver {
    let (id, secret) = Razorpay::KEYS;
    driver_at(host.url(), secret, id)
}

fn order(paise: i64, receipt: &str) -> OrderToMake {
    OrderToMake {
        amount: money(paise),
        currency: "INR",
        receipt: receipt.to_owned(),
    }
}

fn refund(payment: &Value, paise: i64, key: &str) -> RefundToMake {
    RefundToMake {
        payment_id: id(payment),
        amount: money(paise),
        key: key.to_owned(),
    }
}

fn id(entity: &Value) -> String {
    entity["id"].as_str().unwrap().to_owned()
}

/// A host with one paid order of 500; gives the payment.
async fn paid() -> (Razorpay, Driver, Value) {
    let host = Razorpay::start().await;
    let driver = driver(&host);
    let made = driver.make_order(&order(500, "7K3M-9QXD")).await.unwrap();
    let payment = host.pay(&made);
    (host, driver, payment)
}
