//! The email templates and their overrides.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use shop::{
    core::{
        money::{Currency, MAX_AMOUNT, Money},
        shop_settings::ShopSettings,
    },
    domain::notifications::Templates,
};

use super::{attempts, register};
use crate::support::storage_test;

const ORDER: &str = r#"{
    "name": "Ada", "number": "7K3M-9QXD", "total": 259800, "amount": 129900,
    "items": [
        { "name": "Kettle <steel>", "quantity": 2, "lineTotal": 259800 }
    ]
}"#;

fn settings(currency: Currency) -> ShopSettings {
    ShopSettings {
        name: "Kettles & More".to_owned(),
        currency,
        public_url: "https://shop.example/path".to_owned(),
        refresh_token_ttl: Duration::from_hours(1),
        guest_cart_ttl: Duration::from_hours(1),
        rate_limit: false,
    }
}

#[test]
fn every_template_renders_completely() {
    let nowhere = tempfile::tempdir().unwrap();
    let templates = Templates::new(nowhere.path(), &settings(Currency::INR));
    let order: Value = serde_json::from_str(ORDER).unwrap();
    let link = json!({ "name": "Ada", "link": "https://shop.example/x#token=0a" });
    for (name, data, expected) in [
        ("verify", &link, "https://shop.example/x#token=0a"),
        ("reset", &link, "https://shop.example/x#token=0a"),
        ("password-changed", &json!({ "name": "Ada" }), "password"),
        ("order-placed", &order, "INR 2,598.00"),
        ("order-paid", &order, "7K3M-9QXD"),
        ("order-shipped", &order, "7K3M-9QXD"),
        ("order-delivered", &order, "7K3M-9QXD"),
        ("order-cancelled", &order, "INR 2,598.00"),
        ("order-refunded", &order, "INR 1,299.00"),
        (
            "backup-failed",
            &json!({ "name": "Ada", "error": "the disk is full" }),
            "the disk is full",
        ),
    ] {
        let mail = templates.render(name, data).unwrap();
        assert!(!mail.subject.is_empty(), "{name}");
        for text in [&mail.text, &mail.html] {
            assert!(
                text.contains("Ada") && text.contains("shop.example"),
                "{name}: {text}"
            );
            assert!(
                !text.contains("{{") && !text.contains("{%"),
                "{name}: {text}"
            );
        }
        let plain = mail.html.replace("&#x2f;", "/");
        assert!(
            mail.text.contains(expected) && plain.contains(expected),
            "{name}: {mail:?}"
        );
        assert!(!mail.html.contains("<steel>"), "{name}");
        let shop_name = "Kettles & More";
        assert!(mail.text.contains(shop_name), "{name}: {}", mail.text);
        let escaped = mail.html.matches("Kettles &amp; More").count();
        assert!(
            escaped > 0 && escaped == mail.html.matches("Kettles &").count(),
            "{name}"
        );
        for external in ["<img", "<script", "src=", "url(", "@import", "<link"] {
            assert!(
                !mail.html.contains(external),
                "{name} loads an external resource: {external}"
            );
        }
    }
}

#[test]
fn amounts_are_formatted_for_their_currency() {
    for (amount, currency, formatted) in [
        (0, Currency::INR, "INR 0.00"),
        (7, Currency::EUR, "EUR 0.07"),
        (99_950, Currency::EUR, "EUR 999.50"),
        (259_800, Currency::INR, "INR 2,598.00"),
        (2598, Currency::JPY, "JPY 2,598"),
        (1_234_567, Currency::KWD, "KWD 1,234.567"),
        (5, Currency::XAU, "XAU 5"),
        (MAX_AMOUNT, Currency::USD, "USD 90,071,992,547,409.91"),
    ] {
        let amount = Money::try_from(amount).unwrap();
        assert_eq!(amount.format(currency), formatted);
    }
    let directory = tempfile::tempdir().unwrap();
    for (template, error) in [
        ("{{ total | money }}", None),
        ("{{ number | money }}", Some("i64")),
        ("{{ (0 - total) | money }}", Some("-259800")),
    ] {
        let text = format!("Subject: x\n\n{template}");
        fs::write(directory.path().join("order-placed.txt"), text).unwrap();
        let templates = Templates::new(directory.path(), &settings(Currency::JPY));
        let order: Value = serde_json::from_str(ORDER).unwrap();
        let rendered = templates.render("order-placed", &order);
        match error {
            None => assert_eq!(rendered.unwrap().text, "JPY 259,800"),
            Some(word) => {
                let why = rendered.unwrap_err();
                assert!(why.detail().contains("order-placed.txt"), "{why:?}");
                assert!(why.detail().contains(word), "{why:?}");
            }
        }
    }
}

storage_test! {
    async fn a_file_in_the_data_directory_overrides_a_template(shop: TestShop) {
        let own = shop.directory.path().join("templates");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("verify.txt"), "Subject: Hei {{ name }}\n\n{{ link }}").unwrap();
        register(&shop, "ada").await;
        let email = shop.sent_emails().await.remove(0);
        assert_eq!(email.subject, "Hei ada");
        assert_eq!(Some(email.text.as_str()), email.link.as_deref());
        assert!(email.html.contains("<!doctype html>"), "the HTML part is not overridden");
    }

    async fn emails_are_sent_after_a_broken_template_is_fixed(shop: TestShop) {
        let own = shop.directory.path().join("templates");
        fs::create_dir(&own).unwrap();
        for broken in ["Subject: x\n\n{{ nmae }}", "Subject: x\n\n{% if %}", "no subject"] {
            fs::write(own.join("verify.txt"), broken).unwrap();
            register(&shop, &format!("user{}", broken.len())).await;
            assert_eq!(attempts(&shop).await, 1);
        }
        assert!(shop.sent_emails().await.is_empty());
        let stored = shop.raw_db().dump()["jobs"].concat();
        assert!(stored.contains("verify.txt") && stored.contains("waiting"), "{stored}");
        fs::remove_file(own.join("verify.txt")).unwrap();
        shop.advance_clock(Duration::from_secs(2));
        assert_eq!(shop.sent_emails().await.len(), 3);
    }
}
