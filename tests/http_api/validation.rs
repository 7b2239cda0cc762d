//! A rejected request names every wrong field at once.

use http::Method;
use serde_json::{Map, Value, json};

use super::NO_ID;
use crate::support::{Form, Operation, TestResponse, document::resolved, operations, storage_test};

/// The names of a JSON body's fields, and of those that it must have.
fn fields(operation: &Operation) -> (Vec<String>, Vec<String>) {
    let document = shop::server::document();
    let schema = &operation.text["requestBody"]["content"]["application/json"]["schema"];
    let mut schema = resolved(&document, schema);
    // Of several schemas, the first has the fields that are common.
    if schema["oneOf"].is_array() {
        schema = resolved(&document, &schema["oneOf"][0]);
    }
    let properties = schema["properties"].as_object().unwrap().keys().cloned();
    let required = schema["required"].as_array().into_iter().flatten();
    let required = required.map(|name| name.as_str().unwrap().to_owned());
    (properties.collect(), required.collect())
}

#[track_caller]
fn assert_names_exactly(answer: &TestResponse, mut expected: Vec<String>) {
    let mut named = answer.invalid_fields();
    named.sort();
    expected.sort();
    assert_eq!(named, expected, "{answer:?}");
}

storage_test! {
    async fn all_missing_fields_are_named(shop: TestShop) {
        let admin = shop.admin().await;
        let mut bodies = 0;
        for operation in operations().into_iter().filter(|operation| operation.takes_json) {
            let (_, required) = fields(&operation);
            if required.is_empty() {
                continue;
            }
            let path = operation.path_of(NO_ID);
            let answer = admin.call(operation.method.clone(), &path, &[], json!({})).await;
            answer.assert_problem(422, "validation-failed");
            assert_names_exactly(&answer, required);
            bodies += 1;
        }
        assert!(bodies >= 15, "{bodies}");
    }

    async fn all_wrong_and_unknown_fields_are_named(shop: TestShop) {
        let admin = shop.admin().await;
        let mut bodies = 0;
        for operation in operations().into_iter().filter(|operation| operation.takes_json) {
            let (mut names, _) = fields(&operation);
            names.push("colour".to_owned());
            let is_list = |name: &str| ["options", "productIds"].contains(&name);
            let wrong = |name: &str| if is_list(name) { json!(0) } else { json!([]) };
            let body: Map<_, _> = names.iter().map(|name| (name.clone(), wrong(name))).collect();
            let path = operation.path_of(NO_ID);
            let answer = admin.call(operation.method.clone(), &path, &[], Value::Object(body)).await;
            answer.assert_problem(422, "validation-failed");
            assert_names_exactly(&answer, names);
            bodies += 1;
        }
        assert!(bodies >= 20, "{bodies}");
    }

    async fn messages_for_wrong_types_say_what_a_field_must_be(shop: TestShop) {
        let admin = shop.admin().await;
        let wrong = [json!(1.5), json!("x, expected y"), json!(true), json!([]), json!({}), json!({ "a": 1 }), json!(null)];
        for operation in operations().into_iter().filter(|operation| operation.takes_json) {
            let (names, _) = fields(&operation);
            let path = operation.path_of(NO_ID);
            for value in &wrong {
                let body: Map<_, _> = names.iter().map(|name| (name.clone(), value.clone())).collect();
                let answer = admin.call(operation.method.clone(), &path, &[], Value::Object(body)).await;
                let errors = answer.json()["errors"].clone();
                for error in errors.as_array().into_iter().flatten().filter(|error| error["code"] == "invalid") {
                    assert!(error["message"].as_str().unwrap().starts_with("must be "), "{path} {value}: {error}");
                }
            }
        }
        for stock in [json!(1.5), json!("9"), json!(null)] {
            let answer = admin.post("/products", json!({ "name": 7, "price": 100, "stockQuantity": stock })).await;
            let detail = "`name`: must be a string; `stockQuantity`: must be a whole number";
            assert_eq!(answer.text("/detail"), detail);
        }
        for body in [json!("x"), json!(1)] {
            assert_eq!(admin.post("/products", body).await.text("/detail"), "`body`: must be an object");
        }
    }

    async fn wrong_and_missing_fields_are_named_together(shop: TestShop) {
        let anonymous = shop.anonymous();
        let body = json!({ "email": "nonsense", "password": "short", "colour": "red" });
        let answer = anonymous.post("/auth/register", body).await;
        answer.assert_problem(422, "validation-failed");
        assert_names_exactly(&answer, ["colour", "email", "name", "password"].map(str::to_owned).into());
        for (field, code) in [("colour", "unknown-field"), ("email", "invalid"), ("name", "required")] {
            let errors = answer.json()["errors"].clone();
            let errors = errors.as_array().unwrap();
            assert!(errors.iter().any(|it| it["field"] == field && it["code"] == code), "{errors:?}");
        }
    }

    async fn a_form_names_all_wrong_fields(shop: TestShop) {
        let admin = shop.admin().await;
        let form = Form::default().text("price", "much").text("stockQuantity", "-1").text("categoryId", "x");
        let answer = admin.upload(Method::POST, "/products", &[], form).await;
        answer.assert_problem(422, "validation-failed");
        let expected = ["categoryId", "name", "price", "stockQuantity"].map(str::to_owned);
        assert_names_exactly(&answer, expected.into());
    }

    async fn a_query_names_all_wrong_parameters(shop: TestShop) {
        let admin = shop.admin().await;
        for (path, wrong) in [
            ("/products", "page=0&limit=101&minPrice=x&maxPrice=-1&inStock=maybe&sort=colour&colour=red"),
            ("/orders", "page=x&limit=0&status=LOST&colour=red"),
            ("/admin/orders", "page=0&limit=0&status=LOST&userId=x&from=now&to=then&colour=red"),
            ("/admin/payments", "page=0&limit=0&status=lost&colour=red"),
            ("/admin/users", "page=0&limit=0&email=x&colour=red"),
            ("/admin/audit", "limit=0&actor=1&action=x&target=1&from=now&to=then&colour=red"),
        ] {
            let answer = admin.get(&format!("{path}?{wrong}")).await;
            answer.assert_problem(400, "invalid-query");
            let names = wrong.split('&').filter_map(|pair| pair.split_once('='));
            let names: Vec<_> = names.map(|(name, _)| name.to_owned()).collect();
            for name in &names {
                assert!(answer.text("/detail").contains(&format!("`{name}`")), "{answer:?}");
            }
            assert_names_exactly(&answer, names);
        }
    }

    async fn the_number_of_named_fields_is_bounded(shop: TestShop) {
        let unknown: Map<_, _> = (0..5_000).map(|number| (format!("x{number}"), json!(1))).collect();
        let answer = shop.anonymous().post("/auth/login", Value::Object(unknown)).await;
        answer.assert_problem(422, "validation-failed");
        assert!(answer.body.len() < 16 * 1024, "{}", answer.body.len());
        let many: Vec<_> = (0..1_000).map(|number| format!("x{number}=1")).collect();
        let answer = shop.anonymous().get(&format!("/products?{}", many.join("&"))).await;
        answer.assert_problem(400, "invalid-query");
        assert!(answer.body.len() < 64 * 1024, "{}", answer.body.len());
    }
}
