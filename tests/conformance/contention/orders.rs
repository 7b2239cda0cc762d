//! Concurrent changes of carts, orders, payments and stock.

use futures_util::future::{join, join_all, join3};
use http::Method;
use serde_json::{Value, json};
use shop::domain::accounts::Role;

use super::{assert_one_succeeds, count_responses, sign_in_many};
use crate::support::{Client, TestResponse, provider::event, shopping::path};

contention_test! {
    async fn overlapping_carts_never_oversell(shop: TestShop) {
        let mut products = Vec::new();
        for (number, stock) in [25, 40, 18, 60, 33].into_iter().enumerate() {
            let id = shop.product(&format!("Product {number}"), 1000, stock).await;
            products.push((id, stock));
        }
        let customers = sign_in_many(&shop, "customer", 48, Role::Customer).await;
        let fill = customers.iter().enumerate().map(async |(number, customer)| {
            for turn in 0..3 {
                let step = if number % 2 == 0 { turn } else { 4 - turn };
                let (product, _) = &products[(number + step) % products.len()];
                customer.add_to_cart(product, 1 + i64::try_from((number + turn) % 3).unwrap()).await;
            }
        });
        join_all(fill).await;

        let answers = join_all(customers.iter().map(Client::checkout)).await;
        let counts = count_responses(&answers);
        assert!(counts.keys().all(|(status, code)| *status == 201 || code == "insufficient-stock"));
        assert_eq!(counts.len(), 2, "some checkouts succeed and some fail: {counts:?}");
        let placed: Vec<Value> =
            answers.iter().filter(|answer| answer.status == 201).map(TestResponse::json).collect();
        for (product, stock) in &products {
            let lines = placed.iter().flat_map(|order| order["items"].as_array().unwrap());
            let sold = lines.filter(|line| line["productId"] == product.as_str());
            let sold: i64 = sold.map(|line| line["quantity"].as_i64().unwrap()).sum();
            assert_eq!(shop.stock(product).await, stock - sold);
        }
        shop.raw_db().assert_invariants();
    }

    async fn fifty_concurrent_additions_to_a_cart_all_count(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 500).await;
        let ada = shop.customer("ada").await;
        let body = json!({ "productId": kettle, "quantity": 2 });
        let answers = join_all((0..50).map(|_| ada.post("/cart", body.clone()))).await;
        assert_eq!(count_responses(&answers).len(), 1);
        assert_eq!(answers[0].status, 200);
        let mut shown: Vec<_> = answers.iter().map(|cart| cart.number("/itemCount")).collect();
        shown.sort_unstable();
        let expected: Vec<_> = (1..=50).map(|count| 2 * count).collect();
        assert_eq!(shown, expected, "each response includes the additions before it");
        assert_eq!(ada.get("/cart").await.number("/items/0/quantity"), 100);
    }

    async fn concurrent_additions_fill_a_cart_to_100_lines_at_most(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 4, Role::Admin).await;
        let make = (0..104).map(async |number| {
            let body = json!({ "name": "Mug", "price": 100, "stockQuantity": 9 });
            admins[number % 4].post("/products", body).await.text("/id")
        });
        let products = join_all(make).await;
        let ada = shop.customer("ada").await;
        for product in &products[..96] {
            ada.add_to_cart(product, 1).await;
        }
        let put = async |product: &String| ada.post("/cart", json!({ "productId": product })).await;
        let answers = join_all(products[96..].iter().map(put)).await;
        let counts = count_responses(&answers);
        assert_eq!(counts[&(200, String::new())], 4);
        assert_eq!(counts[&(422, "validation-failed".to_owned())], 4);
        assert_eq!(ada.get("/cart").await.number("/itemCount"), 100);
        let placed = ada.checkout().await;
        assert_eq!(placed.json()["items"].as_array().map(Vec::len), Some(100));
    }

    async fn concurrent_checkouts_order_a_cart_once(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 500).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 3).await;
        let answers = join_all((0..10).map(|_| ada.checkout())).await;
        assert_one_succeeds(&answers, 201, (409, "cart-empty"));
        assert_eq!(shop.stock(&kettle).await, 497);
        shop.raw_db().assert_invariants();
    }

    async fn concurrent_cancellations_restock_once(shop: TestShop) {
        let (kettle, mug) =
            (shop.product("Kettle", 129_900, 50).await, shop.product("Mug", 30_000, 50).await);
        let admins = sign_in_many(&shop, "admin", 3, Role::Admin).await;
        let ada = shop.customer("ada").await;
        for _ in 0..5 {
            ada.add_to_cart(&mug, 3).await;
            let order = ada.place_order(&kettle, 2).await;
            let own = (0..5).map(async |_| {
                ada.post(&format!("{}/cancel", path(&order)), Value::Null).await
            });
            let theirs = admins.iter().map(async |admin| {
                admin.patch(&format!("/admin{}", path(&order)), json!({ "status": "CANCELLED" })).await
            });
            let (mut answers, more) = join(join_all(own), join_all(theirs)).await;
            answers.extend(more);
            assert_one_succeeds(&answers, 200, (409, "illegal-transition"));
            assert_eq!((shop.stock(&kettle).await, shop.stock(&mug).await), (50, 50));
        }
        shop.raw_db().assert_invariants();
    }

    async fn an_order_is_either_paid_or_cancelled(shop: TestShop) {
        let admin = shop.admin().await;
        let customers = sign_in_many(&shop, "customer", 12, Role::Customer).await;
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let orders = join_all(customers.iter().map(|one| one.place_order(&kettle, 2))).await;
        let rounds = customers.iter().zip(&orders).enumerate().map(async |(number, (one, order))| {
            let cancel = format!("{}/cancel", path(order));
            let change = format!("/admin{}", path(order));
            let captured = event("payment.captured", order, &format!("pay_{number}")).to_string();
            let failed = event("payment.failed", order, &format!("pay_no_{number}")).to_string();
            let ids = [format!("ev_{number}"), format!("ev_no_{number}")];
            let (by_customer, by_admin, (first, second)) = join3(
                one.post(&cancel, Value::Null),
                admin.patch(&change, json!({ "status": "CANCELLED" })),
                join(
                    shop.deliver(captured.as_bytes(), &ids[0]),
                    shop.deliver(failed.as_bytes(), &ids[1]),
                ),
            )
            .await;
            assert_eq!((first.status, second.status), (200, 200));
            let cancels = count_responses([&by_customer, &by_admin]);
            let now = one.get(&path(order)).await;
            let payment = now.text("/payment/status");
            let won = cancels.get(&(200, String::new())).copied();
            match now.text("/status").as_str() {
                "PAID" => assert_eq!((payment.as_str(), won), ("CAPTURED", None)),
                "CANCELLED" => {
                    assert_eq!((payment.as_str(), won), ("REFUNDED", Some(1)), "the payment is refunded");
                }
                other => panic!("{other}: {cancels:?}"),
            }
            now.text("/status") == "PAID"
        });
        let paid = join_all(rounds).await.into_iter().filter(|paid| *paid).count();
        assert_eq!(shop.stock(&kettle).await, 100 - 2 * i64::try_from(paid).unwrap());
        shop.raw_db().assert_invariants();
    }

    async fn a_payment_reported_for_several_orders_pays_one(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let customers = sign_in_many(&shop, "customer", 8, Role::Customer).await;
        let orders = join_all(customers.iter().map(|one| one.place_order(&kettle, 1))).await;
        let counts = orders.iter().enumerate().map(async |(number, order)| {
            let body = event("payment.captured", order, "pay_of_many").to_string();
            shop.deliver(body.as_bytes(), &format!("ev_{number}")).await
        });
        assert_eq!(count_responses(&join_all(counts).await).into_iter().next(), Some(((200, String::new()), 8)));
        let admin = shop.admin().await;
        let count = async |path: &str| admin.get(path).await.number("/total");
        assert_eq!(count("/admin/orders?status=PAID").await, 1);
        assert_eq!(count("/admin/orders?status=PENDING").await, 7);
        assert_eq!(count("/admin/payments?status=captured").await, 1);
        assert_eq!(count("/admin/payments?status=unmatched").await, 7);
    }

    async fn thirty_concurrent_requests_with_one_key_place_one_order(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 500).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 1).await;
        let more = json!({ "productId": kettle, "quantity": 1 });
        let (orders, carts) = join(
            join_all((0..30).map(|_| ada.checkout_with_key("key-1"))),
            join_all((0..10).map(|_| ada.post("/cart", more.clone()))),
        )
        .await;
        for answer in &orders {
            assert_eq!((answer.status, &answer.body), (201, &orders[0].body));
        }
        assert_eq!(count_responses(&carts)[&(200, String::new())], 10);
        let left = ada.get("/cart").await.number("/itemCount");
        let bought = orders[0].number("/items/0/quantity");
        assert_eq!(left + bought, 11, "the cart keeps what was not ordered");
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM orders"), 1);
        shop.raw_db().assert_invariants();
    }

    async fn a_deleted_product_is_ordered_completely_or_not_at_all(shop: TestShop) {
        let admin = shop.admin().await;
        let customers = sign_in_many(&shop, "customer", 12, Role::Customer).await;
        let plate = shop.product("Plate", 500, 1000).await;
        let rounds = customers.iter().enumerate().map(async |(number, customer)| {
            let kettle = shop.product("Kettle", 129_900, 50).await;
            customer.add_to_cart(&kettle, 2).await;
            if number % 2 == 0 {
                customer.add_to_cart(&plate, 1).await;
            }
            let gone = format!("/products/{kettle}");
            let (deleted, placed) = join(admin.delete(&gone), customer.checkout()).await;
            assert_eq!(deleted.status, 204, "{deleted:?}");
            if placed.status == 201 {
                let rest: i64 = if number % 2 == 0 { 500 } else { 0 };
                let total = placed.number("/totalAmount");
                assert!(total == rest || total == rest + 259_800, "{placed:?}");
            } else {
                placed.assert_problem(409, "cart-empty");
                assert!(number % 2 == 1, "the plate was still for sale");
            }
        });
        join_all(rounds).await;
        shop.raw_db().assert_invariants();
    }

    async fn stock_changes_and_sales_add_up(shop: TestShop) {
        let (kettle, mug) =
            (shop.product("Kettle", 129_900, 60).await, shop.product("Mug", 30_000, 60).await);
        let admins = sign_in_many(&shop, "admin", 4, Role::Admin).await;
        let customers = sign_in_many(&shop, "customer", 24, Role::Customer).await;
        join_all(customers.iter().enumerate().map(async |(number, customer)| {
            let (first, second) = if number % 2 == 0 { (&kettle, &mug) } else { (&mug, &kettle) };
            customer.add_to_cart(first, 2).await;
            customer.add_to_cart(second, 1).await;
        }))
        .await;
        let sales = join_all(customers.iter().map(Client::checkout));
        let changes = join_all(admins.iter().enumerate().map(async |(number, admin)| {
            let product = [&kettle, &mug][number % 2];
            let mut answers = Vec::new();
            for turn in 0..6 {
                if number < 2 {
                    let delta = if turn % 3 == 2 { -40 } else { 5 };
                    let body = json!({ "delta": delta, "reason": "counted" });
                    answers.push(admin.post(&format!("/admin/products/{product}/stock"), body).await);
                } else {
                    let path = format!("/products/{product}");
                    let tag = admin.get(&path).await.header("etag").unwrap().to_owned();
                    let headers = [("if-match", tag.as_str())];
                    let body = json!({ "stockQuantity": 20 + turn });
                    answers.push(admin.call(Method::PATCH, &path, &headers, body).await);
                }
            }
            answers
        }));
        let (sales, changes) = join(sales, changes).await;
        let sold = count_responses(&sales);
        assert!(sold.keys().all(|(status, code)| *status == 201 || code == "insufficient-stock"));
        let counted = count_responses(changes.iter().flatten());
        let known = ["", "insufficient-stock", "precondition-failed"];
        assert!(counted.keys().all(|(_, code)| known.contains(&code.as_str())), "{counted:?}");
        shop.raw_db().assert_invariants();
    }
}
