//! Emails to customers about their orders.

use serde_json::{Value, json};
use shop::domain::settlement::expire_due;

use crate::support::{Client, TestShop, shopping::path, storage_test};

/// Returns the subjects of the emails to an address, oldest first.
async fn subjects(shop: &TestShop, to: &str) -> Vec<String> {
    let emails = shop.sent_emails().await;
    let own = emails.iter().filter(|email| email.to == to);
    own.map(|email| email.subject.clone()).collect()
}

async fn transition(admin: &Client<'_>, order: &Value, status: &str) {
    let place = format!("/admin{}", path(order));
    let moved = admin.patch(&place, json!({ "status": status })).await;
    assert_eq!(moved.status, 200, "{moved:?}");
}

storage_test! {
    async fn each_transition_sends_an_email(shop: TestShop) {
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let kettle = shop.product("Kettle \"<steel>\"", 129_900, 5).await;
        let order = ada.place_order(&kettle, 2).await;
        let email = shop.sent_emails().await.pop().unwrap();
        assert_eq!(email.to, "ada@example.com");
        for text in ["2,598.00", "Kettle \"<steel>\"", order["number"].as_str().unwrap()] {
            assert!(email.text.contains(text), "{text}: {}", email.text);
        }
        assert!(!email.html.contains("<steel>"));

        shop.capture(&order).await;
        transition(&admin, &order, "SHIPPED").await;
        transition(&admin, &order, "DELIVERED").await;
        let refund = format!("/admin{}/refund", path(&order));
        admin.post(&refund, json!({ "amount": 9_800 })).await;
        admin.post(&refund, Value::Null).await;
        let written = subjects(&shop, "ada@example.com").await;
        let number = order["number"].as_str().unwrap();
        assert_eq!(written.len(), 6, "{written:#?}");
        assert!(written.iter().all(|subject| subject.contains(number)), "{written:#?}");
        let emails = shop.sent_emails().await;
        for amount in ["98.00", "2,500.00"] {
            let text = format!("refunded INR {amount}");
            assert!(emails.iter().any(|email| email.text.contains(&text)), "{text}");
        }
    }

    async fn cancel_and_expiry_send_an_email(shop: TestShop) {
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = ada.place_order(&kettle, 1).await;
        ada.post(&format!("{}/cancel", path(&order)), Value::Null).await;
        assert_eq!(subjects(&shop, "ada@example.com").await.len(), 2);
        bob.place_order(&kettle, 1).await;
        shop.advance_clock(std::time::Duration::from_mins(31));
        expire_due(&shop.app).await.unwrap();
        assert_eq!(subjects(&shop, "bob@example.com").await.len(), 2);
    }

    async fn a_failed_checkout_sends_no_email(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 1).await;
        ada.add_to_cart(&kettle, 1).await;
        shop.raw_db().break_table("payments");
        assert!(ada.checkout().await.status >= 500);
        shop.raw_db().repair_table("payments");
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM outbox"), 0);
        ada.checkout().await;
    }
}
