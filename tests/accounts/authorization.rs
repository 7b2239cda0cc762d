//! Authorization: roles, ownership, and fields that clients cannot set.

use http::Method;
use serde_json::{Value, json};
use shop::domain::accounts::{self, Role};

use super::{PASSWORD, log_in, set_role};
use crate::support::{Operation, operations, storage_test};

/// An id that does not exist.
const UNKNOWN_ID: &str = "01900000-0000-7000-8000-000000000000";

fn admin_operations() -> Vec<Operation> {
    operations()
        .into_iter()
        .filter(Operation::is_for_admins)
        .collect()
}

storage_test! {
    async fn a_demoted_admin_loses_access_at_the_next_request(shop: TestShop) {
        shop.admin().await;
        let second = shop.customer("second").await;
        set_role(&shop, "second@example.com", Role::Admin).await.unwrap();
        // A promotion ends sessions, too: the next login has the new role.
        second.get("/me").await.assert_problem(401, "unauthorized");

        let signed_in = log_in(&shop.anonymous(), "second@example.com", PASSWORD).await;
        assert_eq!(signed_in.text("/user/role"), "ADMIN");
        let second = shop.bearer(&signed_in.text("/accessToken"));
        assert_eq!(second.get("/admin/orders").await.status, 200);

        set_role(&shop, "second@example.com", Role::Customer).await.unwrap();
        second.get("/admin/orders").await.assert_problem(401, "unauthorized");
        second.get("/me").await.assert_problem(401, "unauthorized");
        let token = json!({ "refreshToken": signed_in.text("/refreshToken") });
        shop.anonymous().post("/auth/refresh", token).await.assert_problem(401, "invalid-token");
    }

    async fn clients_cannot_set_protected_fields(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        let grace = json!({
            "email": "grace@example.com", "password": "correct horse", "name": "Grace"
        });
        let product = json!({ "name": "Pan", "price": 100 });
        let bodies: [(_, _, Value, &[&str]); 4] = [
            (&ada, "/auth/register", grace, &[
                "role", "isEmailVerified", "isPhoneVerified", "id", "createdAt", "phone",
            ]),
            (&ada, "/cart", json!({ "productId": kettle }), &[
                "price", "total", "totalAmount", "lineTotal", "userId", "id",
            ]),
            (&ada, "/orders", json!({}), &[
                "price", "total", "totalAmount", "userId", "id", "status", "items", "payment",
            ]),
            (&admin, "/products", product, &["id", "userId", "slug", "currency", "createdAt"]),
        ];
        ada.post("/cart", json!({ "productId": kettle })).await;
        let before = ada.get("/cart").await.json();
        for (who, path, body, fields) in bodies {
            for field in fields {
                let mut body = body.clone();
                body[*field] = json!(1);
                let answer = who.post(path, body).await;
                assert_eq!(answer.status, 422, "{path} {field}: {answer:?}");
                answer.assert_invalid_field(field);
                assert_eq!(answer.text("/errors/0/code"), "unknown-field");
            }
        }
        let item = format!("/cart/items/{kettle}");
        ada.patch(&item, json!({ "quantity": 1, "price": 1 })).await.assert_invalid_field("price");
        assert_eq!(ada.get("/cart").await.json(), before);
        assert_eq!(ada.get("/orders").await.number("/total"), 0);
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 1);
    }

    async fn resources_of_other_users_are_not_found(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        ada.post("/cart", json!({ "productId": kettle })).await;
        let order = ada.post("/orders", Value::Null).await;
        assert_eq!(order.status, 201, "{order:?}");
        ada.post("/cart", json!({ "productId": kettle, "quantity": 2 })).await;
        let cart = ada.get("/cart").await.json();

        let owned = operations().into_iter().filter(|operation| {
            operation.needs_token && !operation.is_for_admins() && operation.path.contains('{')
        });
        let mut checked = 0;
        for operation in owned {
            let id = match operation.path.trim_start_matches("/api/v1") {
                path if path.starts_with("/orders/") => order.text("/id"),
                path if path.starts_with("/cart/items/") => kettle.clone(),
                path => panic!("{path} is new: add which ids it takes"),
            };
            let body = if operation.takes_json { json!({ "quantity": 1 }) } else { Value::Null };
            let (method, path) = (operation.method.clone(), operation.path_of(&id));
            let answer = bob.call(method, &path, &[], body).await;
            assert_eq!(answer.status, 404, "{operation:?}: {answer:?}");
            answer.assert_problem(404, "not-found");
            checked += 1;
        }
        assert!(checked >= 4);
        assert_eq!(bob.get("/orders").await.number("/total"), 0);
        assert_eq!(bob.get("/cart").await.number("/itemCount"), 0);
        assert_eq!(ada.get("/cart").await.json(), cart);
        let path = format!("/orders/{}", order.text("/id"));
        assert_eq!(ada.get(&path).await.json(), order.json());

        // The customer routes show an admin only their own orders.
        let admin = shop.admin().await;
        admin.get(&path).await.assert_problem(404, "not-found");
        assert_eq!(admin.get(&format!("/admin{path}")).await.json(), order.json());
    }

    async fn admin_routes_reject_anonymous_clients_and_customers(shop: TestShop) {
        let (anonymous, ada) = (shop.anonymous(), shop.customer("ada").await);
        let operations = admin_operations();
        for known in [
            "POST /api/v1/categories", "PATCH /api/v1/categories/{id}",
            "DELETE /api/v1/categories/{id}", "POST /api/v1/products",
            "PATCH /api/v1/products/{id}", "DELETE /api/v1/products/{id}", "PATCH /api/v1/variants/{id}",
            "POST /api/v1/products/{id}/images", "DELETE /api/v1/products/{id}/images/{imageId}",
            "POST /api/v1/admin/products/{id}/stock", "GET /api/v1/admin/orders",
            "GET /api/v1/admin/orders/{id}", "PATCH /api/v1/admin/orders/{id}",
            "POST /api/v1/admin/orders/{id}/refund",
            "GET /api/v1/admin/payments", "POST /api/v1/admin/payments/{id}/resolve", "GET /api/v1/admin/users",
            "GET /api/v1/admin/users/{id}", "PATCH /api/v1/admin/users/{id}", "GET /api/v1/admin/audit", "GET /api/v1/admin/mail",
            "GET /api/v1/admin/mail/{id}", "GET /api/v1/admin/stock-movements",
            "POST /api/v1/admin/products/import",
        ] {
            let is_known = |it: &Operation| format!("{} {}", it.method, it.path) == known;
            assert!(operations.iter().any(is_known), "{known} is not documented");
        }
        for operation in operations {
            assert!(operation.needs_token, "{operation:?}");
            for status in ["401", "403"] {
                let documented = operation.text["responses"].get(status);
                assert!(documented.is_some(), "{status} of {} {}", operation.method, operation.path);
            }
            // With and without a body: the role is checked before the body is read.
            for body in [Value::Null, json!({ "status": "SHIPPED", "name": "Mine", "price": 1 })] {
                let (method, path) = (&operation.method, operation.path_of(UNKNOWN_ID));
                let answer = anonymous.call(method.clone(), &path, &[], body.clone()).await;
                assert_eq!(answer.status, 401, "{operation:?}");
                answer.assert_problem(401, "unauthorized");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));

                let answer = ada.call(method.clone(), &path, &[], body).await;
                assert_eq!(answer.status, 403, "{operation:?}");
                answer.assert_problem(403, "forbidden");
            }
        }
    }

    async fn every_route_that_needs_a_token_documents_it(shop: TestShop) {
        let anonymous = shop.anonymous();
        // The response of a stream does not end.
        for operation in operations().into_iter().filter(|operation| !operation.is_stream()) {
            let (method, path) = (operation.method.clone(), operation.path_of(UNKNOWN_ID));
            let answer = anonymous.call(method, &path, &[], Value::Null).await;
            if operation.needs_token {
                assert_eq!(answer.status, 401, "{operation:?}");
                answer.assert_problem(401, "unauthorized");
            } else if answer.status == 401 {
                // The webhook requires a signature instead.
                answer.assert_problem(401, "invalid-signature");
            }
        }
    }

    async fn a_new_shop_has_no_accounts(shop: TestShop) {
        let users = shop.app.db.read("test.users", accounts::all).await.unwrap();
        assert!(users.is_empty(), "{users:?}");
        for name in ["admin", "root", "shop", "demo"] {
            for password in ["admin", "password", "changeme", "shop", "12345678", ""] {
                let email = format!("{name}@example.com");
                log_in(&shop.anonymous(), &email, password).await
                    .assert_problem(401, "invalid-credentials");
            }
        }
    }

    async fn admins_have_all_permissions_of_customers(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let admin = shop.admin().await;
        let cart = admin.post("/cart", json!({ "productId": kettle })).await;
        assert_eq!(cart.status, 200);
        let order = admin.call(Method::POST, "/orders", &[], Value::Null).await;
        assert_eq!(order.status, 201);
    }
}
