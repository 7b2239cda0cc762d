//! `shop admin order` and `payments`, while a server is running.

use super::*;
use crate::support::{
    provider::{event, with},
    shopping::path,
    storage_test,
};

fn id(order: &Value) -> &str {
    order["id"].as_str().unwrap()
}

fn number(order: &Value) -> &str {
    order["number"].as_str().unwrap()
}

storage_test! {
    async fn orders_are_listed_shown_and_updated(shop: TestShop) {
        assert_eq!(json_on(&shop, &["admin", "order", "list"]), json!([]));
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        let paid = ada.place_order(&kettle, 2).await;
        shop.capture(&paid).await;
        let placed = bob.place_order(&kettle, 1).await;

        let listed = json_on(&shop, &["admin", "order", "list"]);
        assert_eq!(strings(&listed, "id"), [id(&placed), id(&paid)]);
        assert_eq!(strings(&listed, "status"), ["PENDING", "PAID"]);
        assert_eq!(strings(&listed, "customerEmail"), ["bob@example.com", "ada@example.com"]);
        let only = json_on(&shop, &["admin", "order", "list", "--status", "paid"]);
        assert_eq!(strings(&only, "id"), [id(&paid)]);
        let table = stdout_of(&shop.run(&["admin", "order", "list"]));
        let line = table.lines().nth(2).unwrap();
        for cell in [id(&paid), number(&paid), "PAID", "CAPTURED", "INR 2,598.00", "ada@example.com"] {
            assert!(line.contains(cell), "{cell}: {table}");
        }

        let small = number(&paid).to_lowercase().replace('-', "");
        for name in [id(&paid), number(&paid), &small] {
            let shown = json_on(&shop, &["admin", "order", "show", name]);
            let mut own = ada.get(&path(&paid)).await.json();
            own["customerEmail"] = json!("ada@example.com");
            assert_eq!(shown, own);
        }
        let summary = stdout_of(&shop.run(&["admin", "order", "show", &small]));
        let transaction = format!("pay_{}", number(&paid));
        for word in ["2 x Kettle: INR 2,598.00", "total: INR 2,598.00", "CAPTURED", &transaction] {
            assert!(summary.contains(word), "{word}: {summary}");
        }

        let moved = json_on(&shop, &["admin", "order", "status", &small, "shipped"]);
        assert_eq!(moved["status"], "SHIPPED");
        let summary = stdout_of(&shop.run(&["admin", "order", "status", id(&paid), "DELIVERED"]));
        assert_eq!(summary, format!("order {} is DELIVERED, payment CAPTURED\n", number(&paid)));
        json_on(&shop, &["admin", "order", "status", id(&placed), "CANCELLED"]);
        assert_eq!(bob.get(&path(&placed)).await.text("/status"), "CANCELLED");
        assert_eq!(shop.stock(&kettle).await, 48, "the items of a cancelled order are restocked");
        let error = failure_of(&shop.run(&["admin", "order", "status", id(&placed), "SHIPPED"]));
        assert!(error.contains("CANCELLED"), "{error}");
        let error = failure_of(&shop.run(&["admin", "order", "show", "0000-0000"]));
        assert!(error.contains("order not found"), "{error}");
        for wrong in [&["status", id(&paid), "PAID"][..], &["list", "--status", "LOST"]] {
            let refused = shop.run(&[&["admin", "order"], wrong].concat());
            assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        }
        shop.raw_db().assert_invariants();
    }

    async fn only_the_newest_hundred_orders_are_listed(shop: TestShop) {
        let kettle = shop.product("Kettle", 100, 500).await;
        let ada = shop.customer("ada").await;
        for _ in 0..101 {
            ada.place_order(&kettle, 1).await;
        }
        let output = shop.run(&["admin", "order", "list", "--json"]);
        let (out, err) = streams(&output);
        let listed: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 100);
        assert!(err.starts_with("only the 100 newest"), "{err}");
    }

    async fn unmatched_payments_are_listed(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let ada = shop.customer("ada").await;
        let paid = ada.place_order(&kettle, 1).await;
        shop.advance_clock(std::time::Duration::from_secs(1));
        let short = ada.place_order(&kettle, 1).await;
        shop.capture(&paid).await;
        let event = with(event("payment.captured", &short, "pay_short"), "amount", json!(5));
        assert_eq!(shop.deliver(event.to_string().as_bytes(), "ev_short").await.status, 200);

        let listed = json_on(&shop, &["admin", "payments", "list"]);
        assert_eq!(strings(&listed, "status"), ["created", "captured"]);
        let captured = json_on(&shop, &["admin", "payments", "list", "--status", "captured"]);
        assert_eq!(strings(&captured, "orderId"), [id(&paid)]);
        let unmatched = json_on(&shop, &["admin", "payments", "list", "--status", "unmatched"]);
        assert_eq!(strings(&unmatched, "transactionId"), ["pay_short"]);
        let table = stdout_of(&shop.run(&["admin", "payments", "list", "--status", "UNMATCHED"]));
        assert!(table.contains("another amount") && table.contains(id(&short)), "{table}");
        assert!(table.contains("INR 0.05"), "{table}");
        let table = stdout_of(&shop.run(&["admin", "payments", "list", "--status", "captured"]));
        assert!(table.contains("INR 1,299.00"), "{table}");
        let refused = shop.run(&["admin", "payments", "list", "--status", "lost"]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }

    async fn an_order_is_refunded(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let ada = shop.customer("ada").await;
        let paid = ada.place_order(&kettle, 2).await;
        let error = failure_of(&shop.run(&["admin", "order", "refund", id(&paid)]));
        assert!(error.contains("nothing is left"), "{error}");
        shop.capture(&paid).await;
        let part = ["admin", "order", "refund", number(&paid), "--amount"];
        let summary = stdout_of(&shop.run(&[&part[..], &["9950"]].concat()));
        let number = number(&paid);
        let expected = format!("order {number} is PAID, payment CAPTURED; refunded INR 99.50\n");
        assert_eq!(summary, expected);
        let error = failure_of(&shop.run(&["admin", "order", "refund", id(&paid), "--amount=250000"]));
        assert!(error.contains("250000"), "{error}");
        for amount in ["0", "-1"] {
            let (word, amount) = ("--amount", format!("--amount={amount}"));
            let error = usage_failure_of(&shop.run(&["admin", "order", "refund", id(&paid), &amount]));
            assert!(error.contains(word), "{error}");
        }
        let rest = json_on(&shop, &["admin", "order", "refund", id(&paid), "--restock"]);
        assert_eq!((&rest["status"], &rest["payment"]["refundedAmount"]), (&json!("REFUNDED"), &json!(259_800)));
        assert_eq!(shop.stock(&kettle).await, 50);
        let shown = stdout_of(&shop.run(&["admin", "order", "show", id(&paid)]));
        assert!(shown.contains("INR 99.50, PROCESSED") && shown.contains("INR 2,498.50"), "{shown}");
        shop.raw_db().assert_invariants();
        assert_eq!(stdout_of(&shop.run(&["verify"])), "28 checks passed\n");
    }

    async fn reconcile_applies_lost_webhooks(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        // Only the last 30 days are reconciled, so the server runs on the real clock.
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
        let found = json_on(&shop, &["admin", "payments", "reconcile"]);
        assert_eq!((&found["compared"], &found["captured"]), (&json!(2), &json!(1)));
        assert_eq!(ada.get(&path(&orders[0])).await.text("/status"), "PAID");
        let summary = stdout_of(&shop.run(&["admin", "payments", "reconcile"]));
        let expected = "compared 2 payments: 0 captured, 0 failed, 0 refunded, 0 unmatched\n\
            totals: INR 1,299.00 captured, INR 0.00 refunded, INR 0.00 unmatched\n";
        assert_eq!(summary, expected);
        assert_eq!(stdout_of(&shop.run(&["verify"])), "28 checks passed\n");
    }
}
