//! Images at Cloudinary: signatures, URLs, deletion, and failures of the host.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use image::{GenericImageView, ImageFormat};
use shop::{
    core::clock::Clock,
    infra::{
        config::Secret,
        ports::{Cloudinary as Driver, ImageStore, StoreLocation, Timeouts, images::signature},
    },
};

use super::product;
use crate::support::{
    Cloudinary, CloudinaryBehavior, TestShop,
    images::{phone_jpeg, png, test_image},
    storage_test,
};

fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// Opens the driver with short timeouts.
fn driver(url: &str) -> Arc<dyn ImageStore> {
    let timeouts = Timeouts {
        connecting: Duration::from_millis(500),
        whole: Duration::from_millis(500),
    };
    Arc::new(Driver::open(&Secret::from(url), Clock::system(), timeouts).unwrap())
}

/// Fails the test if there is a local image or a queued deletion.
fn assert_nothing_left(shop: &TestShop) {
    let names = std::fs::read_dir(shop.directory.path()).unwrap();
    for name in names {
        let name = name.unwrap().file_name();
        let name = name.to_str().unwrap();
        assert!(name.starts_with("shop.db") || name == "keys", "{name}");
    }
    let deletions = shop
        .raw_db()
        .rows("SELECT * FROM jobs WHERE kind = 'delete-image'");
    assert_eq!(deletions.len(), 0, "{deletions:?}");
}

#[test]
fn signatures_match_the_vendors_examples() {
    // https://cloudinary.com/documentation/authentication_signatures, and the vendor's own libraries.
    let eager = "w_400,h_300,c_pad|w_260,h_200,c_crop";
    let vector = fields(&[
        ("timestamp", "1315060510"),
        ("public_id", "sample_image"),
        ("eager", eager),
        ("empty", ""),
    ]);
    let known = "bfd09f95f331f558cbd1320e67aa8d488770583e";
    assert_eq!(signature(&vector, "abcd"), known);
    assert_eq!(crate::support::sign(&vector, "abcd"), known);
    // Signature version 2: a value cannot inject a field.
    let injected = fields(&[("public_id", "a&timestamp=1"), ("tags", "b")]);
    let plain = fields(&[("public_id", "a"), ("tags", "b"), ("timestamp", "1")]);
    assert_ne!(signature(&injected, "abcd"), signature(&plain, "abcd"));
}

#[test]
fn an_invalid_url_is_refused() {
    for url in [
        "",
        "cloudinary://",
        "cloudinary://key:secret",
        "cloudinary://key@cloud",
        "cloudinary://:secret@cloud",
        "cloudinary://key:@cloud",
        "cloudinary://key:secret@",
        "https://key:secret@cloud",
        "cloudinary://key:secret@a/b",
        "cloudinary://key:secret@cloud?upload_prefix=ftp://x",
        "cloudinary://key:secret@cloud?x=1",
    ] {
        let secret = Secret::from(url);
        let error = Driver::open(&secret, Clock::system(), Timeouts::default())
            .err()
            .unwrap();
        assert_eq!(
            error.detail(),
            "`CLOUDINARY_URL` must look like `cloudinary://key:secret@cloud`",
            "{url}"
        );
    }
    let right = Secret::from("cloudinary://key:secret@cloud");
    let driver = Driver::open(&right, Clock::system(), Timeouts::default()).unwrap();
    assert_eq!(
        driver.location(),
        StoreLocation::Remote("cloudinary://cloud".to_owned())
    );
}

storage_test! {
    async fn images_are_stored_at_cloudinary(shop: TestShop) {
        let host = Cloudinary::start().await;
        let shop = shop.with_settings(&[("rate_limit", "off"), ("cloudinary_url", &host.settings())]).await;
        let admin = shop.admin().await;
        let created = product(&admin, &[&phone_jpeg(90, 60), &png()]).await;
        assert_eq!(created.status, 201, "{created:?}");
        let (id, other) = (created.text("/images/0/id"), created.text("/images/1/id"));
        let delivered = "https://res.cloudinary.com/demo/image/upload/v1315060510";
        assert_eq!(created.text("/images/0/url"), format!("{delivered}/{id}.jpg"));
        assert_eq!(created.text("/images/1/url"), format!("{delivered}/{other}.png"));
        assert_eq!((created.number("/images/0/width"), created.number("/images/0/height")), (60, 90));
        let shown = shop.anonymous().get("/products").await.json();
        assert_eq!(shown["data"][0], created.as_listed());

        let stored = host.stored();
        assert_eq!(stored.len(), 2);
        let file = &stored[&id];
        assert_eq!(image::load_from_memory(file).unwrap().dimensions(), (60, 90));
        assert!(!file.windows(4).any(|it| it == b"Exif"), "re-encoded before the upload");
        assert_nothing_left(&shop);

        // Cloudinary serves the images, not the shop.
        shop.anonymous().get(&format!("/images/{id}.jpg")).await.assert_problem(404, "not-found");
        let image = format!("/products/{}/images/{id}", created.text("/id"));
        assert_eq!((admin.delete(&image).await.status, shop.delete_due_images().await), (200, 1));
        assert_eq!(host.stored().keys().collect::<Vec<_>>(), [&other]);
        let deleted = admin.delete(&format!("/products/{}", created.text("/id"))).await;
        assert_eq!((deleted.status, shop.delete_due_images().await), (204, 1));
        assert_eq!((host.stored().len(), host.rejections().len(), shop.delete_orphaned_images().await), (0, 0, 0));
        assert_nothing_left(&shop);
    }

    async fn deleting_a_missing_image_succeeds(shop: TestShop) {
        let host = Cloudinary::start().await;
        let shop = shop.with_settings(&[("rate_limit", "off"), ("cloudinary_url", &host.settings())]).await;
        let driver = driver(&host.settings());
        driver.remove("01900000-0000-7000-8000-000000000000").await.unwrap();
        // So a deletion that is repeated after a crash succeeds, too.
        let created = product(&shop.admin().await, &[&png()]).await;
        driver.remove(&created.text("/images/0/id")).await.unwrap();
        shop.admin().await.delete(&format!("/products/{}", created.text("/id"))).await;
        assert_eq!((shop.delete_due_images().await, shop.delete_due_images().await), (1, 0));
        assert_nothing_left(&shop);
    }

    async fn a_failed_form_leaves_no_images_at_the_host(shop: TestShop) {
        let host = Cloudinary::start().await;
        let shop = shop.with_settings(&[("rate_limit", "off"), ("cloudinary_url", &host.settings())]).await;
        let admin = shop.admin().await;
        product(&admin, &[&png(), b"not an image"]).await.assert_problem(415, "unsupported-media-type");
        let form = crate::support::Form::default().text("name", "Pan").text("price", "5")
            .text("categoryId", "01900000-0000-7000-8000-000000000000").image(&png());
        admin.upload(http::Method::POST, "/products", &[], form).await.assert_invalid_field("categoryId");
        assert_eq!((host.stored().len(), host.rejections()), (0, vec![]));
        assert_nothing_left(&shop);
    }

    async fn a_failing_image_host_is_unavailable_and_keeps_nothing(shop: TestShop) {
        let host = Cloudinary::start().await;
        let shop = TestShop::with_image_store(shop.engine, driver(&host.settings())).await;
        let admin = shop.admin().await;
        let pan = shop.product("Pan", 500, 9).await;
        let before = shop.anonymous().get(&format!("/products/{pan}")).await.as_listed();
        let bad = [
            CloudinaryBehavior::Reject(401), CloudinaryBehavior::Reject(420), CloudinaryBehavior::Reject(500), CloudinaryBehavior::WrongResponse,
            CloudinaryBehavior::Disconnect, CloudinaryBehavior::Hang,
        ];
        for behavior in bad {
            host.set_behavior(behavior);
            let images = format!("/products/{pan}/images");
            let form = crate::support::Form::default().image(&png());
            let answers = [
                product(&admin, &[&png(), &test_image(9, 9, ImageFormat::Gif)]).await,
                admin.upload(http::Method::POST, &images, &[], form).await,
            ];
            for answer in answers {
                answer.assert_problem(503, "unavailable");
                assert!(answer.header("retry-after").is_some());
            }
            assert_eq!(host.stored().len(), 0);
        }
        host.set_behavior(CloudinaryBehavior::Normal);
        assert_eq!(shop.anonymous().get("/products").await.json()["data"], serde_json::json!([before]));
        // Images that the host may have stored are deleted once it works again.
        shop.advance_clock(Duration::from_mins(10));
        shop.delete_due_images().await;
        assert_nothing_left(&shop);
        assert_eq!(product(&admin, &[&png()]).await.status, 201);
    }

    async fn other_requests_work_while_the_image_host_is_down(shop: TestShop) {
        // A port without a listener.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("cloudinary://key:secret@demo?upload_prefix=http://{free}");
        let shop = TestShop::with_image_store(shop.engine, driver(&url)).await;
        product(&shop.admin().await, &[&png()]).await.assert_problem(503, "unavailable");
        let pan = shop.product("Pan", 500, 9).await;
        let ada = shop.customer("ada").await;
        let line = serde_json::json!({ "productId": pan });
        assert_eq!(ada.post("/cart", line).await.status, 200);
        assert_eq!(ada.post("/orders", serde_json::json!({})).await.status, 201);
        let new = serde_json::json!({
            "email": "eve@example.com", "password": "correct horse battery", "name": "Eve",
        });
        assert_eq!(shop.anonymous().post("/auth/register", new).await.status, 201);
    }

    async fn a_wrong_secret_is_not_disclosed(shop: TestShop) {
        let host = Cloudinary::start().await;
        let wrong = host.settings_with("another-secret");
        let shop = TestShop::with_image_store(shop.engine, driver(&wrong)).await;
        let answer = product(&shop.admin().await, &[&png()]).await;
        answer.assert_problem(503, "unavailable");
        assert!(host.rejections()[0].starts_with("Invalid Signature"), "{:?}", host.rejections());
        let body = String::from_utf8_lossy(&answer.body).to_lowercase();
        assert!(!body.contains("secret") && !body.contains("signature"), "{body}");
    }
}
