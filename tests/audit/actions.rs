//! The changes that admins make through the API.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::{actions, entries};
use crate::{
    accounts::first_admin::{create_first_admin, first_admin_token},
    support::{
        Client, Engine, Form, TestResponse, TestShop,
        images::png,
        operations,
        provider::{event, with},
        shopping::path,
        storage_test,
    },
};

/// Makes requests of an admin and checks the entry of each.
struct Recorder<'a> {
    admin: &'a Client<'a>,
    admin_id: String,
    /// The number of entries so far.
    count: usize,
    operations: BTreeSet<String>,
}

impl<'a> Recorder<'a> {
    async fn new(admin: &'a Client<'a>) -> Recorder<'a> {
        Recorder {
            admin,
            admin_id: admin.get("/me").await.text("/id"),
            count: entries(admin).await.len(),
            operations: BTreeSet::new(),
        }
    }

    /// Checks that this response to an operation has left exactly one entry. Returns its changes. Without a target,
    /// `target` is empty.
    async fn recorded(
        &mut self,
        operation: &str,
        answer: &TestResponse,
        action: &str,
        target: &str,
    ) -> Value {
        assert!(answer.status < 300, "{operation}: {answer:?}");
        let all = entries(self.admin).await;
        assert_eq!(all.len(), self.count + 1, "{operation}");
        self.count += 1;
        self.operations.insert(operation.to_owned());
        let entry = &all[0];
        assert_eq!(entry["action"], action, "{operation}");
        let kind = action.split_once('.').unwrap().0;
        assert_eq!(
            entry["target"],
            json!({ "type": kind, "id": Some(target).filter(|it| !it.is_empty()) }),
            "{operation}"
        );
        let actor = json!({ "type": "USER", "id": self.admin_id, "name": "admin" });
        assert_eq!(entry["actor"], actor, "{operation}");
        assert_eq!(
            entry["requestId"].as_str(),
            answer.header("x-request-id"),
            "{operation}"
        );
        assert_eq!(entry["address"], "127.0.0.1", "{operation}");
        assert_eq!(entry["seq"], json!(all.len()), "{operation}");
        entry["changes"].clone()
    }
}

/// Returns the paid order of a customer, and the id of an unmatched payment.
async fn order_and_unmatched_payment(shop: &TestShop, product: &str) -> (Value, String) {
    let ada = shop.customer("ada").await;
    let paid = ada.place_order(product, 1).await;
    shop.capture(&paid).await;
    let order = ada.place_order(product, 1).await;
    let part = with(
        event("payment.captured", &order, "pay_part"),
        "amount",
        json!(100_000),
    );
    let delivered = shop.deliver(part.to_string().as_bytes(), "ev_part").await;
    assert_eq!(delivered.status, 200, "{delivered:?}");
    let admin = shop.admin().await;
    let listed = admin.get("/admin/payments?status=unmatched").await;
    (paid, listed.text("/data/0/id"))
}

fn change(field: &str, from: impl Into<Value>, to: impl Into<Value>) -> Value {
    json!({ "field": field, "from": from.into(), "to": to.into() })
}

/// Records the operations on collections.
async fn record_collections(log: &mut Recorder<'_>) {
    let admin = log.admin;
    let made = admin
        .post("/collections", json!({ "name": "Summer" }))
        .await;
    let collection = made.text("/id");
    let operation = "POST /api/v1/collections";
    log.recorded(operation, &made, "collection.create", &collection)
        .await;
    let place = format!("/collections/{collection}");
    let renamed = admin.patch(&place, json!({ "name": "Sun" })).await;
    let operation = "PATCH /api/v1/collections/{id}";
    let changes = log
        .recorded(operation, &renamed, "collection.update", &collection)
        .await;
    assert_eq!(changes, json!([change("name", "Summer", "Sun")]));
    let gone = admin.delete(&place).await;
    let operation = "DELETE /api/v1/collections/{id}";
    log.recorded(operation, &gone, "collection.delete", &collection)
        .await;
}

/// Records the operations on options and variants.
async fn record_variants(shop: &TestShop, log: &mut Recorder<'_>) {
    let admin = log.admin;
    let shirt = shop
        .product_with_options("T-shirt", &[("Size", &["S", "M"])], (2_000, 3))
        .await;
    log.count += 1;
    let shirt = shirt["id"].as_str().unwrap();
    let values = ["S", "M", "L"].map(|value| json!({ "value": value }));
    let body = json!({ "options": [{ "name": "Size", "values": values }] });
    let place = format!("/products/{shirt}");
    let set = admin
        .call(Method::PUT, &format!("{place}/options"), &[], body)
        .await;
    let operation = "PUT /api/v1/products/{id}/options";
    let changes = log.recorded(operation, &set, "product.update", shirt).await;
    assert_eq!(changes[0]["field"], "options");
    let body = json!({ "options": { "Size": "L" }, "price": 2_500 });
    let made = admin.post(&format!("{place}/variants"), body).await;
    let (large, operation) = (made.text("/id"), "POST /api/v1/products/{id}/variants");
    let changes = log
        .recorded(operation, &made, "variant.create", &large)
        .await;
    assert!(
        changes
            .as_array()
            .unwrap()
            .contains(&change("title", Value::Null, "L"))
    );
    let body = json!({ "delta": 2, "reason": "delivery" });
    let restocked = admin
        .post(&format!("/admin/variants/{large}/stock"), body)
        .await;
    let operation = "POST /api/v1/admin/variants/{id}/stock";
    let changes = log
        .recorded(operation, &restocked, "variant.adjust-stock", &large)
        .await;
    assert_eq!(changes[0], change("stockQuantity", 0, 2));
    let gone = admin.delete(&format!("/variants/{large}")).await;
    log.recorded(
        "DELETE /api/v1/variants/{id}",
        &gone,
        "variant.delete",
        &large,
    )
    .await;
}

storage_test! {
    async fn every_write_of_an_admin_leaves_an_entry(shop: TestShop) {
        let admin = shop.admin().await;
        let ada = shop.customer("bob").await.get("/me").await.text("/id");
        let mut log = Recorder::new(&admin).await;

        let made = admin.post("/categories", json!({ "name": "Kitchen" })).await;
        let category = made.text("/id");
        let changes = log
            .recorded("POST /api/v1/categories", &made, "category.create", &category)
            .await;
        assert!(changes.as_array().unwrap().contains(&change("name", Value::Null, "Kitchen")));
        let place = format!("/categories/{category}");
        let renamed = admin.patch(&place, json!({ "name": "Bath" })).await;
        let changes = log
            .recorded("PATCH /api/v1/categories/{id}", &renamed, "category.update", &category)
            .await;
        assert_eq!(changes, json!([change("name", "Kitchen", "Bath")]));
        let gone = admin.delete(&place).await;
        log.recorded("DELETE /api/v1/categories/{id}", &gone, "category.delete", &category).await;

        record_collections(&mut log).await;
        let body = json!({ "name": "Kettle", "price": 129_900, "stockQuantity": 9 });
        let made = admin.post("/products", body).await;
        let product = made.text("/id");
        let changes = log
            .recorded("POST /api/v1/products", &made, "product.create", &product)
            .await;
        assert!(changes.as_array().unwrap().contains(&change("stockQuantity", Value::Null, 9)));
        let place = format!("/products/{product}");
        let description = "é".repeat(5000);
        let body = json!({ "price": 119_900, "description": description });
        let updated = admin.patch(&place, body).await;
        let changes = log
            .recorded("PATCH /api/v1/products/{id}", &updated, "product.update", &product)
            .await;
        let cut = format!("{}…", "é".repeat(200));
        let mut expected = vec![
            change("description", "", cut),
            change("price", 129_900, 119_900),
            change("priceMax", 129_900, 119_900),
        ];
        let mut changes = changes.as_array().unwrap().clone();
        expected.sort_by_key(Value::to_string);
        changes.sort_by_key(Value::to_string);
        assert_eq!(changes, expected);
        let variant = format!("/variants/{product}");
        let updated = admin.patch(&variant, json!({ "sku": "KET" })).await;
        let operation = "PATCH /api/v1/variants/{id}";
        let changes = log.recorded(operation, &updated, "variant.update", &product).await;
        assert_eq!(changes, json!([change("sku", Value::Null, "KET")]));
        let images = format!("{place}/images");
        let added = admin.upload(Method::POST, &images, &[], Form::default().image(&png())).await;
        let changes = log
            .recorded("POST /api/v1/products/{id}/images", &added, "product.update", &product)
            .await;
        assert_eq!(changes[0]["field"], "images");
        let removed = admin.delete(&format!("{images}/{}", added.text("/images/0/id"))).await;
        let operation = "DELETE /api/v1/products/{id}/images/{imageId}";
        log.recorded(operation, &removed, "product.update", &product).await;
        let body = json!({ "delta": -2, "reason": "broken" });
        let restocked = admin.post(&format!("/admin{place}/stock"), body).await;
        let operation = "POST /api/v1/admin/products/{id}/stock";
        let changes = log.recorded(operation, &restocked, "product.adjust-stock", &product).await;
        let expected = [change("stockQuantity", 9, 7), change("reason", Value::Null, "broken")];
        assert_eq!(changes, json!(expected));

        record_variants(&shop, &mut log).await;

        let csv = [("content-type", "text/csv")];
        let file = "name,price\nCup,100\n";
        let imported = admin.raw(Method::POST, "/admin/products/import", &csv, file).await;
        let operation = "POST /api/v1/admin/products/import";
        let changes = log.recorded(operation, &imported, "catalog.import", "").await;
        assert!(changes.as_array().unwrap().contains(&change("created", Value::Null, 1)));

        let (order, payment) = order_and_unmatched_payment(&shop, &product).await;
        let (place, id) = (format!("/admin{}", path(&order)), order["id"].as_str().unwrap());
        let shipped = admin.patch(&place, json!({ "status": "SHIPPED" })).await;
        let operation = "PATCH /api/v1/admin/orders/{id}";
        let changes = log.recorded(operation, &shipped, "order.status", id).await;
        assert_eq!(changes, json!([change("status", "PAID", "SHIPPED")]));
        let refunded = admin.post(&format!("{place}/refund"), json!({ "amount": 100 })).await;
        let operation = "POST /api/v1/admin/orders/{id}/refund";
        let changes = log.recorded(operation, &refunded, "order.refund", id).await;
        assert_eq!(changes[0], change("amount", Value::Null, 100));
        let body = json!({ "note": "paid out" });
        let resolved = admin.post(&format!("/admin/payments/{payment}/resolve"), body).await;
        let operation = "POST /api/v1/admin/payments/{id}/resolve";
        log.recorded(operation, &resolved, "payment.resolve", &payment).await;
        let promoted = admin.patch(&format!("/admin/users/{ada}"), json!({ "role": "ADMIN" })).await;
        let operation = "PATCH /api/v1/admin/users/{id}";
        let changes = log.recorded(operation, &promoted, "user.role", &ada).await;
        assert_eq!(changes, json!([change("role", "CUSTOMER", "ADMIN")]));
        let gone = admin.delete(&format!("/products/{product}")).await;
        log.recorded("DELETE /api/v1/products/{id}", &gone, "product.delete", &product).await;

        let writes = operations().into_iter().filter(|operation| {
            operation.is_for_admins() && !operation.method.is_safe()
        });
        let writes: BTreeSet<_> = writes.map(|it| format!("{} {}", it.method, it.path)).collect();
        assert_eq!(log.operations, writes, "record the changes of the new operation by `tx.audit`");
    }

    async fn the_first_admin_is_recorded(shop: TestShop) {
        let token = first_admin_token(&shop).await;
        let created = create_first_admin(&shop, &token, "boss@example.com").await;
        assert_eq!(created.status, 201, "{created:?}");
        let body = json!({ "email": "boss@example.com", "password": "correct horse battery" });
        let signed_in = shop.anonymous().post("/auth/login", body).await;
        let entry = &entries(&shop.bearer(&signed_in.text("/accessToken"))).await[0];
        assert_eq!(entry["action"], "user.create");
        assert_eq!(entry["target"], json!({ "type": "user", "id": created.text("/user/id") }));
        assert_eq!(entry["actor"], json!({ "type": "SYSTEM", "id": null, "name": "shop" }));
        assert_eq!(entry["requestId"].as_str(), created.header("x-request-id"));
        assert_eq!(entry["address"], "127.0.0.1");
        let changes = entry["changes"].as_array().unwrap();
        assert!(changes.contains(&change("role", Value::Null, "ADMIN")), "{entry}");
        assert!(!entry.to_string().contains(&token), "{entry}");
    }

    async fn what_changes_nothing_leaves_no_entry(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product("Kettle", 129_900, 5).await;
        let order = shop.customer("ada").await.place_order(&product, 1).await;
        let before = entries(&admin).await;

        // Refused.
        let place = format!("/admin{}", path(&order));
        let refused = admin.patch(&place, json!({ "status": "SHIPPED" })).await;
        refused.assert_problem(409, "illegal-transition");
        let refused = admin.post(&format!("{place}/refund"), Value::Null).await;
        refused.assert_problem(409, "refund-exceeds-captured");
        let stock = format!("/admin/products/{product}/stock");
        let body = json!({ "delta": -9, "reason": "lost" });
        admin.post(&stock, body).await.assert_problem(409, "insufficient-stock");
        // The values are those before.
        let same = json!({ "price": 129_900, "name": "Kettle" });
        assert_eq!(admin.patch(&format!("/products/{product}"), same).await.status, 200);
        assert_eq!(entries(&admin).await, before);

        // A replay.
        let body = json!({ "delta": 1, "reason": "found" });
        for _ in 0..3 {
            let headers = [("idempotency-key", "once")];
            let answer = admin.call(Method::POST, &stock, &headers, body.clone()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert_eq!(entries(&admin).await.len(), before.len() + 1);
    }

    async fn customers_and_the_provider_leave_no_entries(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product("Kettle", 129_900, 5).await;
        let before = entries(&admin).await;
        let ada = shop.customer("ada").await;
        let cancelled = ada.place_order(&product, 1).await;
        let answer = ada.post(&format!("{}/cancel", path(&cancelled)), Value::Null).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let paid = ada.place_order(&product, 1).await;
        shop.capture(&paid).await;
        assert_eq!(ada.patch("/me", json!({ "name": "Ada" })).await.status, 200);
        let body = json!({
            "email": "grace@example.com", "password": "correct horse", "name": "Grace"
        });
        assert_eq!(shop.anonymous().post("/auth/register", body).await.status, 201);
        assert_eq!(entries(&admin).await, before);
        // The first start has recorded the currency.
        assert_eq!(actions(&before), ["product.create", "setting.update"]);
        assert_eq!(before[1]["actor"], json!({ "type": "SYSTEM", "id": null, "name": "shop" }));
    }

    async fn a_change_that_cannot_be_recorded_is_not_made(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product("Kettle", 129_900, 5).await;
        let raw = shop.raw_db();
        let table = match shop.engine {
            Engine::Sqlite => "audit",
            Engine::Postgres => "unsequenced_audit",
        };
        raw.break_table(table);
        let place = format!("/products/{product}");
        let refused = admin.patch(&place, json!({ "price": 1 })).await;
        refused.assert_problem(500, "internal");
        assert_eq!(admin.get(&place).await.number("/price"), 129_900);
        raw.repair_table(table);
        assert_eq!(admin.patch(&place, json!({ "price": 1 })).await.status, 200);
        assert_eq!(actions(&entries(&admin).await)[0], "product.update");
    }
}
