//! Orders and payments, as operators look after them beside a running server.

use super::*;
use crate::support::{
    TestShop,
    provider::{event, with},
    shopping::path,
    storage_test,
};

/// What a command prints with `--json` on a shop.
#[track_caller]
fn told_of(shop: &TestShop, arguments: &[&str]) -> Value {
    let text = said(&shop.run(&[arguments, &["--json"]].concat()));
    serde_json::from_str(&text).unwrap()
}

fn id(order: &Value) -> &str {
    order["id"].as_str().unwrap()
}

fn number(order: &Value) -> &str {
    order["number"].as_str().unwrap()
}

storage_test! {
    async fn orders_are_listed_shown_and_moved(shop: TestShop) {
        assert_eq!(told_of(&shop, &["admin", "order", "list"]), json!([]));
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        let paid = ada.place_order(&kettle, 2).await;
        shop.capture(&paid).await;
        let placed = bob.place_order(&kettle, 1).await;

        let listed = told_of(&shop, &["admin", "order", "list"]);
        assert_eq!(texts_of(&listed, "id"), [id(&placed), id(&paid)]);
        assert_eq!(texts_of(&listed, "status"), ["PENDING", "PAID"]);
        assert_eq!(texts_of(&listed, "customerEmail"), ["bob@example.com", "ada@example.com"]);
        let only = told_of(&shop, &["admin", "order", "list", "--status", "paid"]);
        assert_eq!(texts_of(&only, "id"), [id(&paid)]);
        let table = said(&shop.run(&["admin", "order", "list"]));
        let line = table.lines().nth(2).unwrap();
        for cell in [id(&paid), number(&paid), "PAID", "CAPTURED", "INR 2,598.00", "ada@example.com"] {
            assert!(line.contains(cell), "{cell}: {table}");
        }

        let small = number(&paid).to_lowercase().replace('-', "");
        for name in [id(&paid), number(&paid), &small] {
            let shown = told_of(&shop, &["admin", "order", "show", name]);
            let mut own = ada.get(&path(&paid)).await.json();
            own["customerEmail"] = json!("ada@example.com");
            assert_eq!(shown, own);
        }
        let words = said(&shop.run(&["admin", "order", "show", &small]));
        let transaction = format!("pay_{}", number(&paid));
        for word in ["2 x Kettle: INR 2,598.00", "total: INR 2,598.00", "CAPTURED", &transaction] {
            assert!(words.contains(word), "{word}: {words}");
        }

        let moved = told_of(&shop, &["admin", "order", "status", &small, "shipped"]);
        assert_eq!(moved["status"], "SHIPPED");
        let words = said(&shop.run(&["admin", "order", "status", id(&paid), "DELIVERED"]));
        assert_eq!(words, format!("order {} is DELIVERED, its payment CAPTURED\n", number(&paid)));
        told_of(&shop, &["admin", "order", "status", id(&placed), "CANCELLED"]);
        assert_eq!(bob.get(&path(&placed)).await.text("/status"), "CANCELLED");
        assert_eq!(shop.stock(&kettle).await, 48, "what was cancelled is back");
        let why = why_failed(&shop.run(&["admin", "order", "status", id(&placed), "SHIPPED"]));
        assert!(why.contains("CANCELLED"), "{why}");
        let why = why_failed(&shop.run(&["admin", "order", "show", "0000-0000"]));
        assert!(why.contains("order not found"), "{why}");
        for wrong in [&["status", id(&paid), "PAID"][..], &["list", "--status", "LOST"]] {
            let refused = shop.run(&[&["admin", "order"], wrong].concat());
            assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        }
        shop.raw_db().assert_sound();
    }

    async fn the_newest_hundred_are_listed_and_the_rest_is_told_of(shop: TestShop) {
        let kettle = shop.product("Kettle", 100, 500).await;
        let ada = shop.customer("ada").await;
        for _ in 0..101 {
            ada.place_order(&kettle, 1).await;
        }
        let output = shop.run(&["admin", "order", "list", "--json"]);
        let (out, err) = texts(&output);
        let listed: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 100);
        assert!(err.starts_with("the 100 newest"), "{err}");
    }

    async fn what_a_person_must_see_of_payments_is_listed(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let ada = shop.customer("ada").await;
        let paid = ada.place_order(&kettle, 1).await;
        shop.advance_clock(std::time::Duration::from_secs(1));
        let short = ada.place_order(&kettle, 1).await;
        shop.capture(&paid).await;
        let event = with(event("payment.captured", &short, "pay_short"), "amount", json!(5));
        assert_eq!(shop.deliver(event.to_string().as_bytes(), "ev_short").await.status, 200);

        let listed = told_of(&shop, &["admin", "payments", "list"]);
        assert_eq!(texts_of(&listed, "status"), ["created", "captured"]);
        let captured = told_of(&shop, &["admin", "payments", "list", "--status", "captured"]);
        assert_eq!(texts_of(&captured, "orderId"), [id(&paid)]);
        let unmatched = told_of(&shop, &["admin", "payments", "list", "--status", "unmatched"]);
        assert_eq!(texts_of(&unmatched, "transactionId"), ["pay_short"]);
        let table = said(&shop.run(&["admin", "payments", "list", "--status", "UNMATCHED"]));
        assert!(table.contains("another amount") && table.contains(id(&short)), "{table}");
        assert!(table.contains("INR 0.05"), "{table}");
        let table = said(&shop.run(&["admin", "payments", "list", "--status", "captured"]));
        assert!(table.contains("INR 1,299.00"), "{table}");
        let refused = shop.run(&["admin", "payments", "list", "--status", "lost"]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }

    async fn money_goes_back(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let ada = shop.customer("ada").await;
        let paid = ada.place_order(&kettle, 2).await;
        let why = why_failed(&shop.run(&["admin", "order", "refund", id(&paid)]));
        assert!(why.contains("nothing is left"), "{why}");
        shop.capture(&paid).await;
        let part = ["admin", "order", "refund", number(&paid), "--amount"];
        let words = said(&shop.run(&[&part[..], &["9950"]].concat()));
        let number = number(&paid);
        let expected = format!("order {number} is PAID, its payment CAPTURED; INR 99.50 went back\n");
        assert_eq!(words, expected);
        let why = why_failed(&shop.run(&["admin", "order", "refund", id(&paid), "--amount=250000"]));
        assert!(why.contains("250000"), "{why}");
        for amount in ["0", "-1"] {
            let (word, amount) = ("--amount", format!("--amount={amount}"));
            let why = why_refused(&shop.run(&["admin", "order", "refund", id(&paid), &amount]));
            assert!(why.contains(word), "{why}");
        }
        let rest = told_of(&shop, &["admin", "order", "refund", id(&paid), "--restock"]);
        assert_eq!((&rest["status"], &rest["payment"]["refundedAmount"]), (&json!("REFUNDED"), &json!(259_800)));
        assert_eq!(shop.stock(&kettle).await, 50);
        let shown = said(&shop.run(&["admin", "order", "show", id(&paid)]));
        assert!(shown.contains("INR 99.50, PROCESSED") && shown.contains("INR 2,498.50"), "{shown}");
        shop.raw_db().assert_sound();
        assert_eq!(said(&shop.run(&["verify"])), "all 16 checks hold\n");
    }

    async fn what_webhooks_did_not_tell_is_asked_for(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        // Only what is not older than a month is asked for: on the real clock.
        let server = Process::of(&shop);
        let ada = Remote::new(&server).registered("ada").await;
        let mut orders = Vec::new();
        for _ in 0..2 {
            ada.post("/cart", &json!({ "productId": kettle })).await;
            orders.push(ada.post("/orders", &json!({})).await.json());
        }
        let provider_order = orders[0]["payment"]["providerOrderId"].as_str().unwrap();
        shop.raw_db().run(&format!(
            "INSERT INTO mock_payments (id, provider_order_id, amount, currency, status, created_at)
             VALUES ('pay_lost', '{provider_order}', 129900, 'INR', 'captured', 0)"
        ));
        let found = told_of(&shop, &["admin", "payments", "reconcile"]);
        assert_eq!((&found["compared"], &found["captured"]), (&json!(2), &json!(1)));
        assert_eq!(ada.get(&path(&orders[0])).await.text("/status"), "PAID");
        let words = said(&shop.run(&["admin", "payments", "reconcile"]));
        let expected = "compared 2 payments: 0 captured, 0 failed, 0 refunded, 0 unmatched\n\
            on record since the beginning: INR 1,299.00 captured, INR 0.00 went back, INR 0.00 \
            unmatched\n";
        assert_eq!(words, expected);
        assert_eq!(said(&shop.run(&["verify"])), "all 16 checks hold\n");
    }
}
