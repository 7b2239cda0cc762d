//! Several admins change categories, products and images concurrently.

use futures_util::future::{join, join_all};
use http::Method;
use serde_json::{Value, json};
use shop::domain::accounts::Role;

use super::{assert_one_succeeds, count_responses, sign_in_many};
use crate::support::{Client, Form, images};

async fn category(admin: &Client<'_>, name: &str) -> String {
    let created = admin.post("/categories", json!({ "name": name })).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.text("/id")
}

contention_test! {
    async fn one_name_creates_one_category(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 20, Role::Admin).await;
        let names = ["Crème", "creme", "CREME", " Crème "];
        let make = admins.iter().enumerate().map(async |(number, admin)| {
            let name = names[number % names.len()];
            admin.post("/categories", json!({ "name": name })).await
        });
        assert_one_succeeds(&join_all(make).await, 201, (409, "category-exists"));
        let listed = shop.anonymous().get("/categories").await;
        assert_eq!(listed.json()["data"].as_array().map(Vec::len), Some(1));
    }

    async fn names_with_equal_slugs_get_different_slugs(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 4, Role::Admin).await;
        let names = ["Tea & more", "Tea, more", "Tea: more", "Tea/more"];
        let make = admins.iter().zip(names).map(async |(admin, name)| {
            admin.post("/categories", json!({ "name": name })).await
        });
        let answers = join_all(make).await;
        assert_eq!(count_responses(&answers)[&(201, String::new())], 4);
        let mut slugs: Vec<_> = answers.iter().map(|created| created.text("/slug")).collect();
        slugs.sort();
        assert_eq!(slugs, ["tea-more", "tea-more-2", "tea-more-3", "tea-more-4"]);
    }

    async fn two_categories_cannot_get_the_same_name(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 6, Role::Admin).await;
        let mut created = Vec::new();
        for number in 0..6 {
            created.push(category(&admins[0], &format!("Category {number}")).await);
        }
        let rename = admins.iter().zip(&created).map(async |(admin, id)| {
            admin.patch(&format!("/categories/{id}"), json!({ "name": "Everything" })).await
        });
        assert_one_succeeds(&join_all(rename).await, 200, (409, "category-exists"));
    }

    async fn a_deleted_category_has_no_products(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 6, Role::Admin).await;
        let mug = shop.product("Mug", 100, 1).await;
        for round in 0..8 {
            let id = category(&admins[0], &format!("Category {round}")).await;
            let body = json!({ "name": "Kettle", "price": 100, "categoryId": id });
            let make = admins[1..4].iter().map(|admin| admin.post("/products", body.clone()));
            let path = format!("/products/{mug}");
            let moved = admins[4].patch(&path, json!({ "categoryId": id }));
            let gone = format!("/categories/{id}");
            let ((entered, moved), gone) =
                join(join(join_all(make), moved), admins[5].delete(&gone)).await;
            let into = count_responses(entered.iter().chain([&moved]));
            let expected = if gone.status == 204 {
                0
            } else {
                gone.assert_problem(409, "category-in-use");
                4
            };
            let entered = entered.iter().chain([&moved]);
            let entered = entered.filter(|answer| [200, 201].contains(&answer.status));
            assert_eq!(entered.count(), expected, "all products are in the category, or none: {into:?} {gone:?}");
            let refused = into.keys().filter(|(status, _)| *status > 201);
            assert!(refused.clone().all(|(_, code)| code == "validation-failed"), "{into:?}");
            admins[4].patch(&path, json!({ "categoryId": Value::Null })).await;
        }
        shop.raw_db().assert_invariants();
    }

    async fn a_category_is_deleted_once(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 6, Role::Admin).await;
        for round in 0..8 {
            let path = format!("/categories/{}", category(&admins[0], &format!("Category {round}")).await);
            let answers = join_all(admins.iter().map(|admin| admin.delete(&path))).await;
            assert_one_succeeds(&answers, 204, (404, "not-found"));
        }
        let entries = "SELECT (SELECT count(*) FROM audit WHERE action = 'category.delete')
            + (SELECT count(*) FROM unsequenced_audit WHERE action = 'category.delete')";
        assert_eq!(shop.raw_db().number(entries), 8, "one for each category");
    }

    async fn a_category_and_its_last_product_can_be_deleted_concurrently(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 4, Role::Admin).await;
        for round in 0..8 {
            let id = category(&admins[0], &format!("Category {round}")).await;
            let body = json!({ "name": "Kettle", "price": 100, "categoryId": id });
            let kettle = admins[0].post("/products", body).await.text("/id");
            let (product, category) = (format!("/products/{kettle}"), format!("/categories/{id}"));
            let away = admins[1].delete(&product);
            let gone = join_all(admins[2..].iter().map(|admin| admin.delete(&category)));
            let (away, gone) = join(away, gone).await;
            assert_eq!(away.status, 204, "{away:?}");
            let counts = count_responses(&gone);
            let known = ["", "category-in-use", "not-found"];
            assert!(counts.keys().all(|(_, code)| known.contains(&code.as_str())), "{counts:?}");
            let went = counts.contains_key(&(204, String::new()));
            let left = admins[0].delete(&category).await.status;
            assert_eq!(left, if went { 404 } else { 204 });
        }
        shop.raw_db().assert_invariants();
    }

    async fn products_that_swap_categories_do_not_deadlock(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 8, Role::Admin).await;
        let categories =
            [category(&admins[0], "Kitchen").await, category(&admins[0], "Garden").await];
        let make = admins.iter().enumerate().map(async |(number, admin)| {
            let body = json!({ "name": "Bowl", "price": 100, "categoryId": categories[number % 2] });
            admin.post("/products", body).await.text("/id")
        });
        let products = join_all(make).await;
        for round in 0..6 {
            let moves = admins.iter().zip(&products).enumerate();
            let moves = moves.map(async |(number, (admin, product))| {
                let category = &categories[(number + round + 1) % 2];
                admin.patch(&format!("/products/{product}"), json!({ "categoryId": category })).await
            });
            let answers = join_all(moves).await;
            assert_eq!(count_responses(&answers).into_iter().next(), Some(((200, String::new()), 8)));
        }
        shop.raw_db().assert_invariants();
    }

    async fn one_of_many_updates_with_the_same_etag_succeeds(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let admins = sign_in_many(&shop, "admin", 12, Role::Admin).await;
        let path = format!("/products/{kettle}");
        for round in 0..4 {
            let tag = shop.anonymous().get(&path).await.header("etag").unwrap().to_owned();
            let change = admins.iter().enumerate().map(async |(number, admin)| {
                let headers = [("if-match", tag.as_str())];
                let body = if number % 2 == 0 {
                    json!({ "price": 1000 * (round + 1) + number })
                } else {
                    json!({ "stockQuantity": 100 * (round + 1) + number })
                };
                admin.call(Method::PATCH, &path, &headers, body).await
            });
            assert_one_succeeds(&join_all(change).await, 200, (412, "precondition-failed"));
        }
        shop.raw_db().assert_invariants();
    }

    async fn concurrent_updates_of_different_fields_are_all_kept(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 6, Role::Admin).await;
        let categories =
            [category(&admins[0], "Kitchen").await, category(&admins[0], "Garden").await];
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let path = format!("/products/{kettle}");
        for round in 0..12_i64 {
            let category = &categories[usize::try_from(round % 2).unwrap()];
            let changes = [
                json!({ "name": format!("Kettle {round}") }),
                json!({ "price": 1000 + round }),
                json!({ "description": format!("round {round}") }),
                json!({ "categoryId": category }),
            ];
            let change = changes.iter().zip(&admins);
            let change = change.map(|(body, admin)| admin.patch(&path, body.clone()));
            let stock = format!("/admin{path}/stock");
            let more = admins[4].post(&stock, json!({ "delta": 1, "reason": "found" }));
            let form = Form::default().text("description", &format!("round {round}"));
            let form = admins[5].upload(Method::PATCH, &path, &[], form);
            let (mut answers, (more, form)) = join(join_all(change), join(more, form)).await;
            answers.extend([more, form]);
            assert_eq!(count_responses(&answers).into_iter().next(), Some(((200, String::new()), 6)));
            let now = shop.anonymous().get(&path).await.json();
            assert_eq!(now["name"], format!("Kettle {round}"));
            assert_eq!(now["price"], 1000 + round);
            assert_eq!(now["description"], format!("round {round}"));
            assert_eq!(now["categoryId"], category.as_str());
            assert_eq!(now["category"]["id"], category.as_str());
            assert_eq!(now["stockQuantity"], 6 + round);
        }
        shop.raw_db().assert_invariants();
    }

    async fn a_product_is_deleted_once(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 6, Role::Admin).await;
        let id = category(&admins[0], "Kitchen").await;
        let body = json!({ "name": "Bowl", "price": 100, "stockQuantity": 3, "categoryId": id });
        let bowl = admins[0].post("/products", body).await.text("/id");
        let path = format!("/products/{bowl}");
        let answers = join_all(admins.iter().map(|admin| admin.delete(&path))).await;
        assert_one_succeeds(&answers, 204, (404, "not-found"));
        shop.raw_db().assert_invariants();
    }

    async fn concurrent_uploads_add_at_most_eight_images(shop: TestShop) {
        let admins = sign_in_many(&shop, "admin", 5, Role::Admin).await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let path = format!("/products/{kettle}/images");
        let add = (0..12).map(async |number: usize| {
            let form = Form::default().image(&images::png());
            admins[number % 5].upload(Method::POST, &path, &[], form).await
        });
        let answers = join_all(add).await;
        let counts = count_responses(&answers);
        assert_eq!(counts[&(200, String::new())], 8);
        assert_eq!(counts[&(422, "invalid-image".to_owned())], 4);
        let raw = shop.raw_db();
        let positions = "SELECT position FROM product_images ORDER BY position";
        let positions: Vec<_> = raw.rows(positions).concat().into_iter().flatten().collect();
        assert_eq!(positions, ["0", "1", "2", "3", "4", "5", "6", "7"]);
        let files = std::fs::read_dir(shop.directory.path().join("images")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| !name.starts_with('.')).count(), 8);
    }
}
