//! Concurrent changes of the variants of a product.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use shop::{core::rng::Rng, domain::accounts::Role};

use super::{assert_one_succeeds, count_responses, sign_in_many};
use crate::support::{
    Client, TestResponse, TestShop,
    live::{ReceivedUpdates, Served},
    shopping::variant_id,
};

const SIZES: (&str, &[&str]) = ("Size", &["S", "M", "L"]);

async fn add(client: &Client<'_>, variant: &str, quantity: i64) {
    let body = json!({ "variantId": variant, "quantity": quantity });
    let added = client.post("/cart", body).await;
    assert_eq!(added.status, 200, "{added:?}");
}

async fn shown(shop: &TestShop, product: &Value) -> Value {
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    shop.anonymous().get(&path).await.json()
}

fn pick(rng: &Rng, count: usize) -> usize {
    usize::try_from(rng.below(count as u64)).unwrap()
}

/// Returns the stock of each variant.
fn stocks(product: &Value) -> Vec<i64> {
    let variants = product["variants"].as_array().unwrap().iter();
    variants
        .map(|variant| variant["stockQuantity"].as_i64().unwrap())
        .collect()
}

contention_test! {
    async fn the_last_unit_of_a_variant_is_sold_once(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product_with_options("T-shirt", &[SIZES], (2_000, 50)).await;
        let [small, medium] = ["S", "M"].map(|title| variant_id(&product, title));
        let taken = json!({ "delta": -49, "reason": "lost" });
        let changed = admin.post(&format!("/admin/variants/{medium}/stock"), taken).await;
        assert_eq!(changed.number("/stockQuantity"), 1, "{changed:?}");
        let served = Served::start(&shop).await;
        let (mut listener, greeting) = served.listen("").await;
        let customers = sign_in_many(&shop, "customer", 100, Role::Customer).await;
        join_all(customers.iter().map(|customer| add(customer, &medium, 1))).await;
        let others = sign_in_many(&shop, "other", 10, Role::Customer).await;
        join_all(others.iter().map(|customer| add(customer, &small, 1))).await;

        let last = join_all(customers.iter().map(Client::checkout));
        let (last, siblings) = join(last, join_all(others.iter().map(Client::checkout))).await;
        assert_one_succeeds(&last, 201, (409, "insufficient-stock"));
        assert_eq!(count_responses(&siblings)[&(201, String::new())], 10);

        let product = shown(&shop, &product).await;
        assert_eq!((stocks(&product), &product["stockQuantity"]), (vec![40, 0, 50], &json!(90)));
        let head = shop.anonymous().get("/products").await.header("x-inventory-seq").unwrap().parse().unwrap();
        let mut received = ReceivedUpdates::since(greeting["seq"].as_i64().unwrap());
        listener.follow(&mut received, head).await;
        assert_eq!(received.stock[product["id"].as_str().unwrap()], 90);
        assert_eq!((received.variants[&small], received.variants[&medium]), (40, 0));
        served.stopped().await;
        shop.raw_db().assert_invariants();
    }

    async fn a_combination_and_a_sku_are_created_once(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 4, Role::Admin).await;
        let sizes: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
        let product = shop.product_with_options("T-shirt", &[("Size", &["first"])], (2_000, 1)).await;
        let other = shop.product_with_options("Shirt", &[("Size", &["first"])], (2_000, 1)).await;
        let path = |product: &Value, rest: &str| format!("/products/{}/{rest}", product["id"].as_str().unwrap());
        let mut values = vec![json!({ "value": "first" })];
        values.extend(sizes.iter().map(|size| json!({ "value": size })));
        let options = json!({ "options": [{ "name": "Size", "values": values }] });
        for product in [&product, &other] {
            let set = admins[0].call(http::Method::PUT, &path(product, "options"), &[], options.clone()).await;
            assert_eq!(set.status, 200, "{set:?}");
        }
        for (round, size) in sizes.iter().enumerate() {
            let variant = json!({ "options": { "Size": size }, "price": 100 });
            let target = path(&product, "variants");
            let created = join_all(admins.iter().map(|admin| admin.post(&target, variant.clone()))).await;
            assert_one_succeeds(&created, 201, (409, "variant-exists"));
            // The same SKU for two products.
            let variant = json!({ "options": { "Size": size }, "price": 100, "sku": format!("SKU-{round}") });
            let two = [path(&other, "variants"), format!("/variants/{}", created_id(&created))];
            let sku = json!({ "sku": format!("sku-{round}") });
            let (new, existing) = join(admins[0].post(&two[0], variant), admins[1].patch(&two[1], sku)).await;
            let statuses = (new.status, existing.status);
            assert!([(201, 409), (409, 200)].contains(&statuses), "{new:?} {existing:?}");
        }
        let verified = shop.run(&["verify"]);
        assert!(verified.status.success(), "{verified:?}");
    }

    async fn what_a_product_keeps_of_its_variants_is_right_after_mixed_changes(shop: TestShop) {
        let product = shop.product_with_options("T-shirt", &[SIZES], (2_000, 400)).await;
        let target = format!("/products/{}", product["id"].as_str().unwrap());
        let ids: Vec<String> = SIZES.1.iter().map(|title| variant_id(&product, title)).collect();
        let admins = sign_in_many(&shop, "admin", 3, Role::Admin).await;
        let customers = sign_in_many(&shop, "customer", 5, Role::Customer).await;
        let rounds = 40;
        let administer = admins.iter().enumerate().map(async |(number, admin)| {
            let rng = Rng::seeded(number as u64 + 1);
            let mut answers = Vec::new();
            for _ in 0..rounds {
                let id = &ids[pick(&rng, ids.len())];
                let amount = i64::try_from(pick(&rng, 50)).unwrap() + 1;
                let answer = match pick(&rng, 4) {
                    0 => admin.patch(&format!("/variants/{id}"), json!({ "price": 1_000 + amount })).await,
                    1 => {
                        let body = json!({ "delta": amount - 25, "reason": "count" });
                        admin.post(&format!("/admin/variants/{id}/stock"), body).await
                    }
                    2 => admin.delete(&format!("/variants/{id}")).await,
                    _ => {
                        let size = SIZES.1[pick(&rng, 3)];
                        let body = json!({ "options": { "Size": size }, "price": 900, "stockQuantity": amount });
                        admin.post(&format!("{target}/variants"), body).await
                    }
                };
                answers.push(answer);
            }
            answers
        });
        let buy = customers.iter().enumerate().map(async |(number, customer)| {
            let rng = Rng::seeded(number as u64 + 100);
            let mut answers = Vec::new();
            for _ in 0..rounds {
                let current = shown(&shop, &product).await;
                let variants = current["variants"].as_array().unwrap();
                let id = &variants[pick(&rng, variants.len())]["id"];
                answers.push(customer.post("/cart", json!({ "variantId": id, "quantity": 2 })).await);
                let placed = customer.checkout().await;
                if placed.status == 201 && pick(&rng, 2) == 0 {
                    let path = crate::support::shopping::path(&placed.json());
                    answers.push(customer.post(&format!("{path}/cancel"), Value::Null).await);
                }
                answers.push(placed);
            }
            answers
        });
        let (changed, bought) = join(join_all(administer), join_all(buy)).await;
        let counts = count_responses(changed.iter().chain(&bought).flatten());
        for code in [200, 201, 204] {
            assert!(counts.contains_key(&(code, String::new())), "{counts:?}");
        }
        let after = shown(&shop, &product).await;
        let variants = after["variants"].as_array().unwrap();
        let prices = variants.iter().map(|variant| variant["price"].as_i64().unwrap());
        assert_eq!(after["stockQuantity"], stocks(&after).iter().sum::<i64>());
        assert_eq!((after["price"].as_i64(), after["priceMax"].as_i64()), (prices.clone().min(), prices.max()));
        assert_eq!(after["variantCount"], variants.len());
        let verified = shop.run(&["verify"]);
        assert!(verified.status.success(), "{verified:?}");
    }
}

/// Returns the id of the variant that one of these requests has created.
fn created_id(answers: &[TestResponse]) -> String {
    let created = answers.iter().find(|answer| answer.status == 201);
    created.unwrap().text("/id")
}
