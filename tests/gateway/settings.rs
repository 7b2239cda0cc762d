//! The provider's settings, tested through the binary.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::support::{Razorpay, create_shop};

const KEYS: [(&str, &str); 3] = [
    ("SHOP_RAZORPAY_KEY_ID", "rzp_test_1DP5mmOlF5G5ag"),
    ("SHOP_RAZORPAY_KEY_SECRET", "do-not-tell-me"),
    ("SHOP_RAZORPAY_WEBHOOK_SECRET", "do-not-tell-me-either"),
];

fn run(here: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_shop"))
        .args(arguments)
        .current_dir(here)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn incomplete_keys_are_refused() {
    let here = tempfile::tempdir().unwrap();
    let [id, secret, webhook] = KEYS;
    let no_id = ("SHOP_RAZORPAY_KEY_ID", "");
    for (set, missing) in [
        (vec![id, webhook], "needs `razorpay_key_secret`;"),
        (vec![secret, webhook], "needs `razorpay_key_id`;"),
        (vec![no_id, secret, webhook], "needs `razorpay_key_id`;"),
        (vec![id, secret], "needs `razorpay_webhook_secret`;"),
        (
            vec![id],
            "needs `razorpay_key_secret` and `razorpay_webhook_secret`;",
        ),
        (
            vec![secret],
            "needs `razorpay_key_id` and `razorpay_webhook_secret`;",
        ),
    ] {
        let output = run(here.path(), &["admin", "category", "list"], &set);
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{missing}");
        assert_eq!(why.lines().count(), 1, "{why}");
        assert!(why.contains(missing) && why.contains("dashboard"), "{why}");
        assert!(!why.contains("do-not-tell"), "{why}");
        assert!(!here.path().join("shop-data/shop.db").exists(), "{missing}");
    }
    create_shop(&here.path().join("shop-data"));
    let output = run(here.path(), &["admin", "category", "list"], &KEYS);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn malformed_keys_are_refused() {
    let here = tempfile::tempdir().unwrap();
    let [id, secret, webhook] = KEYS;
    let (wrong_id, wrong_secret) = (
        ("SHOP_RAZORPAY_KEY_ID", "rzp:test"),
        ("SHOP_RAZORPAY_KEY_SECRET", "do not-tell"),
    );
    for (set, wrong) in [
        ([wrong_id, secret], [true, false]),
        ([id, wrong_secret], [false, true]),
        ([wrong_id, wrong_secret], [true, true]),
    ] {
        let variables = [set[0], set[1], webhook];
        let output = run(here.path(), &["admin", "category", "list"], &variables);
        let why = String::from_utf8(output.stderr).unwrap();
        let is_named = ["id", "secret"]
            .map(|part| why.contains(&format!("`razorpay_key_{part}` is not a Razorpay key")));
        assert!(!output.status.success(), "{set:?}");
        assert_eq!(is_named, wrong, "{why}");
        assert!(!why.contains("do not-tell"), "{why}");
    }
}

#[test]
fn the_key_secret_is_not_shown() {
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("secret");
    std::fs::write(&file, "do-not-tell-me\n").unwrap();
    let [id, _, webhook] = KEYS;
    let from_file = ("SHOP_RAZORPAY_KEY_SECRET_FILE", file.to_str().unwrap());
    for arguments in [&["config"][..], &["config", "--json"]] {
        let shown = run(here.path(), arguments, &[id, webhook, from_file]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("rzp_test_1DP5mmOlF5G5ag"), "{shown}");
        assert!(
            shown.contains("razorpay_key_secret") && !shown.contains("do-not-tell"),
            "{shown}"
        );
    }
    let shown = run(here.path(), &["config", "--json"], &[]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let settings = shown["settings"].as_array().unwrap();
    let value = |name: &str| &settings.iter().find(|it| it["name"] == name).unwrap()["value"];
    assert_eq!(value("razorpay_api_url"), "https://api.razorpay.com");
    assert_eq!(value("payment_window"), "30m");
    assert_eq!(*value("razorpay_key_id"), Value::Null);
}

crate::support::storage_test! {
    async fn keys_choose_the_provider(shop: TestShop) {
        assert_eq!(shop.app.gateway.name(), "mock");
        let host = Razorpay::start().await;
        let slash = format!("{}/", host.url());
        let mut settings = host.settings().to_vec();
        settings.push(("razorpay_api_url", &slash));
        let shop = shop.with_settings(&settings).await;
        assert_eq!(shop.app.gateway.name(), "razorpay");
        assert_eq!(shop.app.gateway.key_id(), Razorpay::KEYS.0);
        assert_eq!(shop.app.config.payment_window, std::time::Duration::from_mins(30));
        let seen = shop.app.gateway.list_payments("order_unknown").await.unwrap_err();
        assert!(seen.is_permanent(), "{seen:?}");
        assert_eq!(host.requests(), ["GET /v1/orders/order_unknown/payments"]);
    }
}
