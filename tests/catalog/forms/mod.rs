//! Multipart forms of browsers and other clients.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;

use super::{category, get_with_etag};
use crate::support::{
    Client, Form, TestResponse, TestShop,
    images::{png, test_image},
    storage_test,
};

fn kettle() -> Form {
    Form::default().text("name", "Kettle").text("price", "500")
}

async fn create(client: &Client<'_>, form: Form) -> TestResponse {
    client.upload(Method::POST, "/products", &[], form).await
}

async fn change(shop: &TestShop, product: &str, form: Form) -> TestResponse {
    let admin = shop.admin().await;
    admin
        .upload(Method::PATCH, &format!("/products/{product}"), &[], form)
        .await
}

/// Sends a body that was recorded from a browser, with its boundary.
async fn send(client: &Client<'_>, boundary: &str, body: impl Into<Vec<u8>>) -> TestResponse {
    let kind = format!("multipart/form-data; boundary={boundary}");
    let headers = [("content-type", kind.as_str())];
    client
        .raw(Method::POST, "/products", &headers, body.into())
        .await
}

/// The part of a file input without a selected file.
const NO_FILE: &str = "name=\"images\"; filename=\"\"\r\ncontent-type: application/octet-stream";

#[track_caller]
fn is_unsupported(answer: &TestResponse, field: &str) {
    answer.assert_problem(415, "unsupported-media-type");
    assert!(
        answer.text("/detail").contains(&format!("`{field}`")),
        "{answer:?}"
    );
}

storage_test! {
    async fn an_empty_field_is_ignored(shop: TestShop) {
        let admin = shop.admin().await;
        for body in [
            &include_bytes!("no-file-chosen.multipart")[..],
            include_bytes!("empty-stock.multipart"),
        ] {
            let created = send(&admin, "XbX", body).await;
            assert_eq!(created.status, 201, "{created:?}");
            assert_eq!(created.text("/name"), "Teapot");
            assert_eq!(created.json()["images"], json!([]));
            assert_eq!(created.json()["categoryId"], json!(null));
        }
        let empty = ["name", "price", "description", "stockQuantity", "categoryId", "images"];
        let unset = empty.iter().fold(Form::default(), |form, name| form.text(name, ""));
        let refused = create(&admin, unset.clone()).await;
        refused.assert_problem(422, "validation-failed");
        assert_eq!(refused.text("/errors/0/code"), "required", "{refused:?}");

        let kitchen = category(&shop, "Kitchen").await;
        let form = kettle().text("description", "Boils.").text("categoryId", &kitchen).image(&png());
        let created = create(&admin, form).await;
        let id = created.text("/id");
        // It does not require `If-Match`, since no stock is set.
        let changed = change(&shop, &id, unset.part(NO_FILE, b"")).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_eq!(get_with_etag(&shop, &id).await.0.json(), created.json());
        let changed = change(&shop, &id, Form::default().text("name", "Pot").text("price", "")).await;
        assert_eq!((changed.text("/name"), changed.number("/price")), ("Pot".to_owned(), 500));
        // JSON can clear optional fields.
        let cleared = admin.patch(&format!("/products/{id}"), json!({ "description": "", "categoryId": null })).await;
        assert_eq!((cleared.text("/description"), cleared.json()["categoryId"].clone()), (String::new(), json!(null)));
        let path = format!("/products/{id}/images");
        admin.upload(Method::POST, &path, &[], Form::default().part(NO_FILE, b"")).await.assert_invalid_field("images");
    }

    async fn an_input_without_a_file_does_not_count_as_an_image(shop: TestShop) {
        let nine = (0..9).fold(kettle(), |form, _| form.part(NO_FILE, b""));
        let form = (0..8).fold(nine, |form, _| form.image(&png()));
        let created = create(&shop.admin().await, form).await;
        assert_eq!((created.status, created.json()["images"].as_array().map(Vec::len)), (201, Some(8)));
    }

    async fn all_invalid_fields_are_reported_together(shop: TestShop) {
        let admin = shop.admin().await;
        let form = Form::default()
            .text("colour", "red")
            .text("price", "-1")
            .text("price", "5")
            .image(&png())
            .part("name=\"description\"; filename=\"a.txt\"", b"Boils.")
            .text("stockQuantity", "many")
            .part("name=\"categoryId\"", b"\xff");
        let refused = create(&admin, form).await;
        refused.assert_problem(422, "validation-failed");
        let errors = refused.json()["errors"].as_array().unwrap().clone();
        let found: BTreeSet<_> = errors.iter().map(|it| (it["field"].as_str().unwrap(), it["code"].as_str().unwrap())).collect();
        let expected = [
            ("categoryId", "invalid"),
            ("colour", "unknown-field"),
            ("description", "invalid"),
            ("name", "required"),
            ("price", "duplicate"),
            ("stockQuantity", "invalid"),
        ];
        assert_eq!(found, expected.into());
        let product = shop.product("Kettle", 500, 5).await;
        let path = format!("/products/{product}/images");
        let refused = admin.upload(Method::POST, &path, &[], Form::default().text("colour", "red").text("images", "a")).await;
        let errors = refused.json()["errors"].as_array().unwrap().clone();
        assert_eq!(errors.iter().map(|it| it["field"].as_str().unwrap()).collect::<Vec<_>>(), ["colour", "images"]);
    }

    async fn an_invalid_part_is_skipped_whatever_its_size(shop: TestShop) {
        let admin = shop.admin().await;
        // Larger than the limit of any part.
        let huge = "x".repeat(6 * 1024 * 1024);
        let file = |name: &str| format!("name=\"{name}\"; filename=\"a.txt\"");
        for (form, field, code) in [
            (kettle().text("colour", &huge), "colour", "unknown-field"),
            (kettle().part(&file("colour"), huge.as_bytes()), "colour", "unknown-field"),
            (kettle().part(&file("description"), huge.as_bytes()), "description", "invalid"),
            (kettle().part("name=\"description\"; filename=\"\"", huge.as_bytes()), "description", "invalid"),
            (kettle().text("images", &huge), "images", "invalid"),
            (kettle().text("name", &huge), "name", "duplicate"),
        ] {
            let refused = create(&admin, form).await;
            refused.assert_invalid_field(field);
            assert_eq!(refused.text("/errors/0/code"), code, "{refused:?}");
        }
        let eight = (0..8).fold(kettle(), |form, _| form.image(&png()));
        create(&admin, eight.image(huge.as_bytes())).await.assert_problem(422, "invalid-image");
        for (form, field) in [
            (kettle().image(&png()).image(huge.as_bytes()), "images[1]"),
            (kettle().text("description", &huge), "description"),
        ] {
            let refused = create(&admin, form).await;
            refused.assert_problem(413, "payload-too-large");
            assert!(refused.text("/detail").contains(&format!("`{field}`")), "{refused:?}");
        }
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 0);
    }

    async fn a_file_part_is_recognized_in_every_notation(shop: TestShop) {
        let admin = shop.admin().await;
        for name in [
            "name=\"images\"; filename=\"teapot.png\"",
            "name=images; filename=teapot.png",
            "filename=\"teapot.png\"; name=\"images\"",
            "name=\"images\"; filename=\"tea \\\"pot\\\"; name=description.png\"",
            "name=\"images\"; filename=\"tea %22pot%22.png\"",
            "name=\"images\"; filename=\"C:\\tea\\\"",
            "name=\"images\"; filename=\"茶壶.png\"",
            "name=\"images\"; filename*=UTF-8''%E8%8C%B6.png",
            "name=\"images\"; filename=\"\"; filename*=UTF-8''%E8%8C%B6.png",
            "NAME=\"images\" ; FileName = \"teapot.png\"",
            // A file without a file name.
            "name=\"images\"; filename=\"\"",
        ] {
            let created = create(&admin, kettle().part(name, &png())).await;
            assert_eq!(created.status, 201, "{name}: {created:?}");
            assert_eq!(created.number("/images/0/width"), 6, "{name}");
        }
        let quoted = create(&admin, kettle().text("a %22b%22", "x")).await;
        quoted.assert_invalid_field("a \"b\"");
        for claims in ["filename=\"a.png\"", "x=y", "name"] {
            create(&admin, kettle().part(claims, &png())).await.assert_invalid_field("body");
        }
        // A selected but empty file is not an image.
        create(&admin, kettle().image(b"")).await.assert_problem(415, "unsupported-media-type");
    }

    async fn texts_are_utf8_with_plain_line_breaks(shop: TestShop) {
        let admin = shop.admin().await;
        let form = kettle()
            .text("_charset_", "UTF-8")
            .part("name=\"description\"\r\ncontent-type: text/plain; charset=\"utf-8\"", "Größe:\r\n1 l\r2 l\n".as_bytes());
        let created = create(&admin, form).await;
        assert_eq!((created.status, created.text("/description")), (201, "Größe:\n1 l\n2 l\n".to_owned()));
        let latin = "name=\"description\"\r\ncontent-type: text/plain; charset=iso-8859-1";
        is_unsupported(&create(&admin, kettle().part(latin, b"Gr\xf6\xdfe")).await, "description");
        let encoded = "name=\"description\"\r\ncontent-transfer-encoding: base64";
        is_unsupported(&create(&admin, kettle().part(encoded, b"R3I=")).await, "description");
        let latin = kettle().text("_charset_", "windows-1252");
        is_unsupported(&create(&admin, latin).await, "_charset_");
        create(&admin, kettle().part("name=\"description\"", b"Gr\xf6\xdfe")).await.assert_invalid_field("description");
    }

    async fn a_form_may_have_any_boundary_and_text_around_it(shop: TestShop) {
        let admin = shop.admin().await;
        let form = |boundary: &str| {
            let part = |name: &str, value: &str| {
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            format!("{}{}--{boundary}--", part("name", "Pot"), part("price", "5"))
        };
        let firefox = "---------------------------9051914041544843365972754266";
        let webkit = "----WebKitFormBoundaryAbC123";
        for (boundary, body) in [
            (firefox, form(firefox)),
            (webkit, form(webkit) + "\r\n"),
            ("\"a b:c\"", form("a b:c")),
            ("x; charset=utf-8", form("x")),
            ("x", format!("This is a form.\r\n{}\r\nThat was it.\r\n--x\r\n", form("x"))),
        ] {
            let created = send(&admin, boundary, body).await;
            assert_eq!(created.status, 201, "{boundary}: {created:?}");
        }
    }

    async fn an_empty_query_parameter_is_ignored(shop: TestShop) {
        for (name, price) in [("Kettle", 500), ("Pan", 900)] {
            shop.product(name, price, 5).await;
        }
        let empty = "minPrice=&maxPrice=&category=&inStock=&q=&sort=&page=&limit=";
        let anonymous = shop.anonymous();
        let all = anonymous.get("/products").await;
        let answer = anonymous.get(&format!("/products?{empty}")).await;
        assert_eq!((answer.status, answer.json()), (200, all.json()));
        let one = anonymous.get("/products?category=&minPrice=600&q=").await;
        assert_eq!((one.number("/total"), one.text("/data/0/name")), (1, "Pan".to_owned()));
        // An empty cursor starts cursor pagination; an unknown parameter is refused even if it is empty.
        assert_eq!(anonymous.get("/products?cursor=&q=").await.json()["nextCursor"], json!(null));
        for typo in ["minprice=", "colour=&q="] {
            anonymous.get(&format!("/products?{typo}")).await.assert_problem(400, "invalid-query");
        }
        let admin = shop.admin().await;
        for path in [
            "/orders?status=&page=", "/admin/orders?status=&userId=&from=&to=", "/admin/users?email=&limit=",
            "/admin/payments?status=",
        ] {
            assert_eq!(admin.get(path).await.status, 200, "{path}");
        }
        let form = kettle().image(&test_image(9, 9, image::ImageFormat::Png));
        let created = create(&admin, form).await;
        let path = created.text("/images/0/url").replace("http://shop.test", "");
        assert_eq!(anonymous.get(&format!("{path}?w=")).await.status, 200);
    }
}
