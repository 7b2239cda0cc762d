//! What mails say, and how a shop says it its own way.

use std::fs;

use serde_json::{Value, json};
use shop::{
    core::money::{Currency, MAX_AMOUNT, Money},
    domain::notifications::Templates,
};

use super::{register, tries};
use crate::support::storage_test;

const ORDER: &str = r#"{
    "name": "Ada", "number": "7K3M-9QXD", "total": 259800, "amount": 129900,
    "items": [
        { "name": "Kettle <steel>", "quantity": 2, "lineTotal": 259800 }
    ]
}"#;

const URL: &str = "https://shop.example/path";

#[test]
fn every_template_is_whole() {
    let nowhere = tempfile::tempdir().unwrap();
    let templates = Templates::new(nowhere.path(), URL, Currency::INR);
    let order: Value = serde_json::from_str(ORDER).unwrap();
    let link = json!({ "name": "Ada", "link": "https://shop.example/x#token=0a" });
    for (name, data, says) in [
        ("verify", &link, "https://shop.example/x#token=0a"),
        ("reset", &link, "https://shop.example/x#token=0a"),
        ("password-changed", &json!({ "name": "Ada" }), "password"),
        ("order-placed", &order, "INR 2,598.00"),
        ("order-paid", &order, "7K3M-9QXD"),
        ("order-shipped", &order, "7K3M-9QXD"),
        ("order-delivered", &order, "7K3M-9QXD"),
        ("order-cancelled", &order, "INR 2,598.00"),
        ("order-refunded", &order, "INR 1,299.00"),
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
            mail.text.contains(says) && plain.contains(says),
            "{name}: {mail:?}"
        );
        assert!(!mail.html.contains("<steel>"), "{name}");
        for outside in ["<img", "<script", "src=", "url(", "@import", "<link"] {
            assert!(
                !mail.html.contains(outside),
                "{name} loads something: {outside}"
            );
        }
    }
}

#[test]
fn amounts_are_written_as_their_currency_has_it() {
    for (amount, currency, written) in [
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
        assert_eq!(amount.written(currency), written);
    }
    let directory = tempfile::tempdir().unwrap();
    for (own, refused) in [
        ("{{ total | money }}", None),
        ("{{ number | money }}", Some("i64")),
        ("{{ (0 - total) | money }}", Some("-259800")),
    ] {
        let text = format!("Subject: x\n\n{own}");
        fs::write(directory.path().join("order-placed.txt"), text).unwrap();
        let templates = Templates::new(directory.path(), URL, Currency::JPY);
        let order: Value = serde_json::from_str(ORDER).unwrap();
        let rendered = templates.render("order-placed", &order);
        match refused {
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
    async fn a_shop_says_it_its_own_way(shop: TestShop) {
        let own = shop.directory.path().join("templates");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("verify.txt"), "Subject: Hei {{ name }}\n\n{{ link }}").unwrap();
        register(&shop, "ada").await;
        let letter = shop.mails().await.remove(0);
        assert_eq!(letter.subject, "Hei ada");
        assert_eq!(Some(letter.text.as_str()), letter.link.as_deref());
        assert!(letter.html.contains("<!doctype html>"), "the other part stays as it is");
    }

    async fn a_template_that_is_broken_can_be_mended(shop: TestShop) {
        let own = shop.directory.path().join("templates");
        fs::create_dir(&own).unwrap();
        for broken in ["Subject: x\n\n{{ nmae }}", "Subject: x\n\n{% if %}", "no subject"] {
            fs::write(own.join("verify.txt"), broken).unwrap();
            register(&shop, &format!("user{}", broken.len())).await;
            assert_eq!(tries(&shop).await, 1);
        }
        assert!(shop.mails().await.is_empty());
        let kept = shop.raw_db().dump()["outbox"].concat();
        assert!(kept.contains("verify.txt") && kept.contains("waiting"), "{kept}");
        fs::remove_file(own.join("verify.txt")).unwrap();
        shop.advance_clock(std::time::Duration::from_secs(2));
        assert_eq!(shop.mails().await.len(), 3);
    }
}
