//! Pictures at Cloudinary: signed, named by it, taken away again; and what if it does not want to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use image::{GenericImageView, ImageFormat};
use shop::{
    core::clock::Clock,
    infra::{
        config::Secret,
        ports::{Cloudinary as Driver, ImageStore, Place, Timeouts, images::signature},
    },
};

use super::product;
use crate::support::{
    Cloudinary, Manner, TestShop,
    pictures::{jpeg_from_a_phone, picture, png},
    storage_test,
};

fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// The driver at that address, which does not wait long.
fn driver(url: &str) -> Arc<dyn ImageStore> {
    let patience = Timeouts {
        connecting: Duration::from_millis(500),
        whole: Duration::from_millis(500),
    };
    Arc::new(Driver::open(&Secret(url.to_owned()), Clock::system(), patience).unwrap())
}

/// No folder of pictures, and nothing that waits to be removed.
fn nothing_is_left(shop: &TestShop) {
    let names = std::fs::read_dir(shop.directory.path()).unwrap();
    for name in names {
        let name = name.unwrap().file_name();
        let name = name.to_str().unwrap();
        assert!(name.starts_with("shop.db") || name == "keys", "{name}");
    }
    let noted = shop.raw_db().rows("SELECT * FROM image_removals");
    assert_eq!(noted.len(), 0, "{noted:?}");
}

#[test]
fn signatures_are_those_that_the_vendor_publishes() {
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
    // Version 2: fields cannot be smuggled in by a value.
    let smuggled = fields(&[("public_id", "a&timestamp=1"), ("tags", "b")]);
    let honest = fields(&[("public_id", "a"), ("tags", "b"), ("timestamp", "1")]);
    assert_ne!(signature(&smuggled, "abcd"), signature(&honest, "abcd"));
}

#[test]
fn an_address_that_is_none_is_refused() {
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
        let secret = Secret(url.to_owned());
        let error = Driver::open(&secret, Clock::system(), Timeouts::default())
            .err()
            .unwrap();
        assert_eq!(
            error.detail(),
            "`CLOUDINARY_URL` must look like `cloudinary://key:secret@cloud`",
            "{url}"
        );
    }
    let right = Secret("cloudinary://key:secret@cloud".to_owned());
    let driver = Driver::open(&right, Clock::system(), Timeouts::default()).unwrap();
    assert_eq!(
        driver.place(),
        Place::Everywhere("cloudinary://cloud".to_owned())
    );
}

storage_test! {
    async fn pictures_live_at_cloudinary(shop: TestShop) {
        let host = Cloudinary::start().await;
        let shop = shop.with_settings(&[("rate_limit", "off"), ("cloudinary_url", &host.settings())]).await;
        let admin = shop.admin().await;
        let made = product(&admin, &[&jpeg_from_a_phone(90, 60), &png()]).await;
        assert_eq!(made.status, 201, "{made:?}");
        let (id, other) = (made.text("/images/0/id"), made.text("/images/1/id"));
        let delivered = "https://res.cloudinary.com/demo/image/upload/v1315060510";
        assert_eq!(made.text("/images/0/url"), format!("{delivered}/{id}.jpg"));
        assert_eq!(made.text("/images/1/url"), format!("{delivered}/{other}.png"));
        assert_eq!((made.number("/images/0/width"), made.number("/images/0/height")), (60, 90));
        let shown = shop.anonymous().get("/products").await.json();
        assert_eq!(shown["data"][0], made.json());

        let kept = host.kept();
        assert_eq!(kept.len(), 2);
        let file = &kept[&id];
        assert_eq!(image::load_from_memory(file).unwrap().dimensions(), (60, 90));
        assert!(!file.windows(4).any(|it| it == b"Exif"), "made anew before it leaves");
        nothing_is_left(&shop);

        // It serves them by itself.
        shop.anonymous().get(&format!("/images/{id}.jpg")).await.is_problem(404, "not-found");
        let image = format!("/products/{}/images/{id}", made.text("/id"));
        assert_eq!((admin.delete(&image).await.status, shop.removals().await), (200, 1));
        assert_eq!(host.kept().keys().collect::<Vec<_>>(), [&other]);
        let gone = admin.delete(&format!("/products/{}", made.text("/id"))).await;
        assert_eq!((gone.status, shop.removals().await), (204, 1));
        assert_eq!((host.kept().len(), host.refused().len(), shop.swept().await), (0, 0, 0));
        nothing_is_left(&shop);
    }

    async fn a_picture_that_is_gone_there_counts_as_removed(shop: TestShop) {
        let host = Cloudinary::start().await;
        let shop = shop.with_settings(&[("rate_limit", "off"), ("cloudinary_url", &host.settings())]).await;
        let driver = driver(&host.settings());
        driver.remove("01900000-0000-7000-8000-000000000000").await.unwrap();
        // So a removal that is done twice, as after a kill, comes to an end.
        let made = product(&shop.admin().await, &[&png()]).await;
        driver.remove(&made.text("/images/0/id")).await.unwrap();
        shop.admin().await.delete(&format!("/products/{}", made.text("/id"))).await;
        assert_eq!((shop.removals().await, shop.removals().await), (1, 0));
        nothing_is_left(&shop);
    }

    async fn a_form_that_fails_leaves_nothing_there(shop: TestShop) {
        let host = Cloudinary::start().await;
        let shop = shop.with_settings(&[("rate_limit", "off"), ("cloudinary_url", &host.settings())]).await;
        let admin = shop.admin().await;
        product(&admin, &[&png(), b"no picture"]).await.is_problem(415, "unsupported-media-type");
        let form = crate::support::Form::default().text("name", "Pan").text("price", "5")
            .text("categoryId", "01900000-0000-7000-8000-000000000000").image(&png());
        admin.upload(http::Method::POST, "/products", &[], form).await.blames("categoryId");
        assert_eq!((host.kept().len(), host.refused()), (0, vec![]));
        nothing_is_left(&shop);
    }

    async fn an_image_host_that_fails_is_unavailable_and_nothing_is_kept(shop: TestShop) {
        let host = Cloudinary::start().await;
        let shop = TestShop::keeping(shop.engine, driver(&host.settings())).await;
        let admin = shop.admin().await;
        let pan = shop.product("Pan", 500, 9).await;
        let before = shop.anonymous().get(&format!("/products/{pan}")).await.json();
        let bad = [
            Manner::Refusing(401), Manner::Refusing(420), Manner::Refusing(500), Manner::Confused,
            Manner::Dropping, Manner::Silent,
        ];
        for manner in bad {
            host.be(manner);
            let images = format!("/products/{pan}/images");
            let form = crate::support::Form::default().image(&png());
            let answers = [
                product(&admin, &[&png(), &picture(9, 9, ImageFormat::Gif)]).await,
                admin.upload(http::Method::POST, &images, &[], form).await,
            ];
            for answer in answers {
                answer.is_problem(503, "unavailable");
                assert!(answer.header("retry-after").is_some());
            }
            assert_eq!(host.kept().len(), 0);
        }
        host.be(Manner::Honest);
        assert_eq!(shop.anonymous().get("/products").await.json()["data"], serde_json::json!([before]));
        // What may have got there is taken away once the host can be asked.
        shop.advance_clock(Duration::from_mins(10));
        shop.removals().await;
        nothing_is_left(&shop);
        assert_eq!(product(&admin, &[&png()]).await.status, 201);
    }

    async fn an_image_host_that_is_down_harms_nothing_else(shop: TestShop) {
        // A port where nobody listens.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("cloudinary://key:secret@demo?upload_prefix=http://{free}");
        let shop = TestShop::keeping(shop.engine, driver(&url)).await;
        product(&shop.admin().await, &[&png()]).await.is_problem(503, "unavailable");
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

    async fn a_wrong_secret_is_told_to_nobody(shop: TestShop) {
        let host = Cloudinary::start().await;
        let wrong = host.settings_with("another-secret");
        let shop = TestShop::keeping(shop.engine, driver(&wrong)).await;
        let answer = product(&shop.admin().await, &[&png()]).await;
        answer.is_problem(503, "unavailable");
        assert!(host.refused()[0].starts_with("Invalid Signature"), "{:?}", host.refused());
        let said = String::from_utf8_lossy(&answer.body).to_lowercase();
        assert!(!said.contains("secret") && !said.contains("signature"), "{said}");
    }
}
