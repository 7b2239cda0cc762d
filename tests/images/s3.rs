//! Images in a bucket of an S3 server.

use std::sync::Arc;

use image::{GenericImageView, ImageFormat};
use shop::infra::{config::Secret, ports::Objects};

use super::{admin_of, path, product};
use crate::support::{
    Form, Moto, Process, TestShop,
    images::{SECRET_LOCATION, phone_jpeg, png, test_image},
    postgres_test, storage_test,
};

/// Opens a bucket of the server, with an optional prefix.
fn bucket(moto: &Moto, url: &str) -> Arc<Objects> {
    let aws = moto
        .variables()
        .map(|(name, value)| (name.to_owned(), Secret::from(value)));
    Arc::new(Objects::s3(url, &aws.into()).unwrap())
}

storage_test! {
    async fn images_are_stored_in_a_bucket(shop: TestShop) {
        let Some(moto) = Moto::start().await else {
            return;
        };
        moto.put("others/file.txt", b"not the shop's".to_vec()).await;
        let store = bucket(&moto, "s3://pictures/shop/images");
        let shop = TestShop::with_image_store(shop.engine, store).await;
        let admin = shop.admin().await;
        let created = product(&admin, &[&phone_jpeg(900, 600), &png()]).await;
        assert_eq!(created.status, 201, "{created:?}");
        assert!(!shop.directory.path().join("images").exists());

        let served = shop.anonymous().get(&path(&created, 0)).await;
        assert_eq!((served.status, served.header("content-type")), (200, Some("image/jpeg")));
        assert_eq!(image::load_from_memory(&served.body).unwrap().dimensions(), (600, 900));
        let mut windows = served.body.windows(SECRET_LOCATION.len());
        assert!(!windows.any(|window| window == SECRET_LOCATION.as_bytes()));
        for _ in 0..2 {
            let thumbnail = shop.anonymous().get(&format!("{}?w=320", path(&created, 0))).await;
            assert_eq!((thumbnail.status, thumbnail.header("content-type")), (200, Some("image/jpeg")));
            assert_eq!(image::load_from_memory(&thumbnail.body).unwrap().dimensions(), (320, 480));
        }
        let stem = created.text("/images/0/id");
        let names = moto.names().await;
        assert_eq!(names.len(), 4, "{names:?}");
        for name in [format!("shop/images/{stem}.jpg"), format!("shop/images/{stem}-320")] {
            assert!(names.contains(&name), "{names:?}");
        }
        let unknown = "/images/01900000-0000-7000-8000-000000000000.png";
        shop.anonymous().get(unknown).await.assert_problem(404, "not-found");

        // Orphaned files are found in a bucket, too.
        moto.put("shop/images/01900000-0000-7000-8000-000000000000.png", png()).await;
        assert_eq!((shop.delete_orphaned_images().await, shop.delete_due_images().await), (1, 1));
        let deleted = admin.delete(&format!("/products/{}", created.text("/id"))).await;
        assert_eq!((deleted.status, shop.delete_due_images().await), (204, 2));
        assert_eq!(moto.names().await, ["others/file.txt"]);
        shop.anonymous().get(&path(&created, 0)).await.assert_problem(404, "not-found");
    }

    async fn a_large_image_is_served_completely(shop: TestShop) {
        let Some(moto) = Moto::start().await else {
            return;
        };
        let shop = TestShop::with_image_store(shop.engine, bucket(&moto, "s3://pictures")).await;
        // Noise, which does not compress.
        let mut state = 1_u32;
        let noise = image::RgbImage::from_fn(900, 900, |_, _| {
            image::Rgb(std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            }))
        });
        let mut file = std::io::Cursor::new(Vec::new());
        noise.write_to(&mut file, ImageFormat::Png).unwrap();
        let created = product(&shop.admin().await, &[&file.into_inner()]).await;
        assert_eq!(created.status, 201, "{created:?}");
        let served = shop.anonymous().get(&path(&created, 0)).await;
        let size = served.header("content-length").unwrap().parse().unwrap();
        assert_eq!((served.status, served.body.len()), (200, size));
        assert_eq!(image::load_from_memory(&served.body).unwrap().to_rgb8(), noise);
    }

    async fn an_unreachable_bucket_is_unavailable(shop: TestShop) {
        let Some(moto) = Moto::start().await else {
            return;
        };
        let shop = TestShop::with_image_store(shop.engine, bucket(&moto, "s3://pictures")).await;
        let created = product(&shop.admin().await, &[&png()]).await;
        assert_eq!(created.status, 201);
        drop(moto);
        product(&shop.admin().await, &[&png()]).await.assert_problem(503, "unavailable");
        shop.anonymous().get(&path(&created, 0)).await.assert_problem(503, "unavailable");
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 1);
        shop.customer("ada").await;
    }

    async fn the_server_uses_the_configured_bucket(shop: TestShop) {
        let Some(moto) = Moto::start().await else {
            return;
        };
        let mut variables = moto.variables().to_vec();
        variables.push(("SHOP_IMAGES_URL", "s3://pictures/shop"));
        let store = bucket(&moto, "s3://pictures/shop");
        let shop = TestShop::with_image_store(shop.engine, store).await;
        let server = Process::of_with(&shop, &variables);
        let token = admin_of(&shop, &server).await;
        let file = test_image(50, 40, ImageFormat::Jpeg);
        let form = Form::default().text("name", "Pan").text("price", "5").image(&file);
        let created = reqwest::Client::new().post(format!("{}/api/v1/products", server.url))
            .bearer_auth(token).header("content-type", Form::CONTENT_TYPE).body(form.body())
            .send().await.unwrap();
        assert_eq!(created.status(), 201);
        let created: serde_json::Value = serde_json::from_slice(&created.bytes().await.unwrap()).unwrap();
        let url = created["images"][0]["url"].as_str().unwrap();
        let thumbnail = reqwest::get(format!("{url}?w=320")).await.unwrap();
        assert_eq!(thumbnail.headers()["content-type"], "image/jpeg");
        assert_eq!(moto.names().await.len(), 2);
        assert!(!shop.directory.path().join("images").exists());
    }
}

postgres_test! {
    async fn instances_share_a_bucket_instead_of_a_folder(site: Site) {
        let Some(moto) = Moto::start().await else {
            return;
        };
        let mut variables = moto.variables().to_vec();
        variables.push(("SHOP_IMAGES_URL", "s3://pictures/shop"));
        let first = site.start_with(&variables);
        let apart = site.with_own_images();
        let second = apart.start_with(&variables);
        assert!(!site.path().join("images").exists() && !apart.path().join("images").exists());
        drop(second);
        // An instance with another image store could not serve these images.
        let other = site.with_own_images().refuses_to_start(&[]);
        assert!(!other.status.success());
        let why = String::from_utf8_lossy(&other.stderr);
        assert!(why.contains("SHOP_IMAGES_URL"), "{why}");
        drop(first);
    }
}

#[test]
fn a_bucket_must_be_named() {
    for url in [
        "s3://",
        "s3:///prefix",
        "bucket",
        "https://bucket",
        "gs://bucket/prefix",
    ] {
        let error = Objects::s3(url, &[].into()).err().unwrap();
        assert!(
            error.detail().contains("s3://bucket/prefix"),
            "{url}: {error}"
        );
    }
}
