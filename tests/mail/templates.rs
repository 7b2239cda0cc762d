//! What mails say, and how a shop says it its own way.

use std::fs;

use serde_json::{Value, json};
use shop::mail::Templates;

use super::{register, tries};
use crate::support::storage_test;

const ORDER: &str = r#"{
    "name": "Ada", "number": "7K3M-9QXD", "total": "INR 2,598.00", "amount": "INR 1,299.00",
    "items": [
        { "name": "Kettle <steel>", "quantity": 2, "lineTotal": "INR 2,598.00" }
    ]
}"#;

#[test]
fn every_template_is_whole() {
    let nowhere = tempfile::tempdir().unwrap();
    let templates = Templates::new(nowhere.path(), "https://shop.example/path");
    let order: Value = serde_json::from_str(ORDER).unwrap();
    let link = json!({ "name": "Ada", "link": "https://shop.example/x#token=0a" });
    for (name, data, says) in [
        ("verify", &link, "https://shop.example/x#token=0a"),
        ("reset", &link, "https://shop.example/x#token=0a"),
        ("password-changed", &json!({ "name": "Ada" }), "password"),
        ("order-placed", &order, "INR 2,598.00"),
        ("order-paid", &order, "7K3M-9QXD"),
        ("order-shipped", &order, "7K3M-9QXD"),
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
        let kept = shop.behind().dump()["outbox"].concat();
        assert!(kept.contains("verify.txt") && kept.contains("waiting"), "{kept}");
        fs::remove_file(own.join("verify.txt")).unwrap();
        shop.passes(std::time::Duration::from_secs(2));
        assert_eq!(shop.mails().await.len(), 3);
    }
}
