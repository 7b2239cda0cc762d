//! Product images: re-encoded on upload, served as immutable files.

use http::Method;
use image::ImageFormat;
use serde_json::{Value, json};

use super::{category, get_with_etag};
use crate::support::{
    Client, Form, TestResponse, TestShop,
    images::{SECRET_LOCATION, phone_jpeg, png, png_bomb, png_with_location, test_image},
    snapshot, storage_test,
};

fn kettle() -> Form {
    Form::default().text("name", "Kettle").text("price", "500")
}

async fn create(client: &Client<'_>, form: Form) -> TestResponse {
    client.upload(Method::POST, "/products", &[], form).await
}

/// Counts the stored files.
fn stored_files(shop: &TestShop) -> usize {
    let directory = shop.directory.path().join("images");
    let names = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| !name.to_string_lossy().starts_with('.'))
        .count()
}

/// Fetches a product's image by its URL, as a browser would.
async fn fetch(shop: &TestShop, product: &TestResponse, index: usize) -> TestResponse {
    let url = product.text(&format!("/images/{index}/url"));
    let path = url.strip_prefix("http://shop.test").unwrap();
    shop.anonymous().get(path).await
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Files that are not usable images, with the expected status and problem code.
fn bad_files() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let mut cut = test_image(64, 64, ImageFormat::Png);
    cut.truncate(cut.len() / 2);
    let mut broken = test_image(64, 64, ImageFormat::Png);
    let middle = broken.len() / 2;
    broken[middle] ^= 0xff;
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let page = b"<!doctype html><script>alert(1)</script>";
    let format = "unsupported-media-type";
    vec![
        ("SVG", svg.to_vec(), 415, format),
        ("HTML", page.to_vec(), 415, format),
        ("BMP", [&b"BM"[..], &[0; 100][..]].concat(), 415, format),
        ("PDF", b"%PDF-1.7\n".to_vec(), 415, format),
        ("nothing", Vec::new(), 415, format),
        ("cut short", cut, 422, "invalid-image"),
        ("flipped", broken, 422, "invalid-image"),
        ("only a head", png()[..8].to_vec(), 422, "invalid-image"),
        ("too many pixels", png_bomb(), 422, "invalid-image"),
        (
            "too large",
            vec![0; 5 * 1024 * 1024 + 1],
            413,
            "payload-too-large",
        ),
    ]
}

storage_test! {
    async fn a_product_is_created_with_images(shop: TestShop) {
        let kitchen = category(&shop, "Kitchen").await;
        let form = kettle()
            .text("description", "Boils.")
            .text("stockQuantity", "5")
            .text("categoryId", &kitchen)
            .image(&test_image(6, 4, ImageFormat::Png))
            .image(&test_image(8, 2, ImageFormat::Jpeg))
            .image(&test_image(3, 3, ImageFormat::WebP))
            .image(&test_image(2, 9, ImageFormat::Gif));
        let created = create(&shop.admin().await, form).await;
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!((created.number("/stockQuantity"), created.text("/category/slug")), (5, "kitchen".into()));
        snapshot!(
            created.json()["images"],
            { "[].id" => "[id]", "[].url" => "[url]" },
            @r#"
        [
          {
            "contentType": "image/png",
            "height": 4,
            "id": "[id]",
            "url": "[url]",
            "width": 6
          },
          {
            "contentType": "image/jpeg",
            "height": 2,
            "id": "[id]",
            "url": "[url]",
            "width": 8
          },
          {
            "contentType": "image/webp",
            "height": 3,
            "id": "[id]",
            "url": "[url]",
            "width": 3
          },
          {
            "contentType": "image/gif",
            "height": 9,
            "id": "[id]",
            "url": "[url]",
            "width": 2
          }
        ]
        "#);
        assert_eq!(stored_files(&shop), 4);
        for index in 0..4 {
            let served = fetch(&shop, &created, index).await;
            let kind = created.text(&format!("/images/{index}/contentType"));
            assert_eq!((served.status, served.header("content-type")), (200, Some(kind.as_str())));
            assert_eq!(
                served.header("cache-control"),
                Some("public, max-age=31536000, immutable")
            );
            assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(served.header("cross-origin-resource-policy"), Some("cross-origin"));
            let size = image::load_from_memory(&served.body).unwrap();
            let reported = ["width", "height"].map(|it| created.number(&format!("/images/{index}/{it}")));
            assert_eq!([i64::from(size.width()), i64::from(size.height())], reported);
        }
        assert_eq!(shop.anonymous().get("/products").await.json()["data"][0], created.as_listed());
    }

    async fn an_image_is_stored_without_metadata(shop: TestShop) {
        for file in [png_with_location(), phone_jpeg(8, 2)] {
            assert!(holds(&file, SECRET_LOCATION));
            // An HTML page appended to an image: a polyglot file.
            let polyglot = [&file[..], b"<script>alert(1)</script>"].concat();
            let created = create(&shop.admin().await, kettle().image(&polyglot)).await;
            assert_eq!(created.status, 201, "{created:?}");
            let served = fetch(&shop, &created, 0).await;
            assert_eq!(served.status, 200);
            for removed in [SECRET_LOCATION, "Exif", "script"] {
                assert!(!holds(&served.body, removed), "{removed}");
            }
        }
        // The EXIF orientation is applied.
        let phone = &shop.anonymous().get("/products").await.json()["data"];
        let sizes: Vec<_> = phone.as_array().unwrap().iter()
            .map(|it| (it["images"][0]["width"].as_i64(), it["images"][0]["height"].as_i64()))
            .collect();
        assert!(sizes.contains(&(Some(2), Some(8))), "{sizes:?}");
    }

    async fn an_invalid_image_is_refused_and_nothing_is_stored(shop: TestShop) {
        let admin = shop.admin().await;
        let pan = shop.product("Pan", 5, 5).await;
        let before = get_with_etag(&shop, &pan).await.0.json();
        for (what, file, status, code) in bad_files() {
            // A valid image in the same form is not stored either.
            let form = || Form::default().image(&png()).image(&file);
            let answers = [
                create(&admin, kettle().image(&png()).image(&file)).await,
                admin.upload(Method::PATCH, &format!("/products/{pan}"), &[], form()).await,
                admin.upload(Method::POST, &format!("/products/{pan}/images"), &[], form()).await,
            ];
            for answer in answers {
                assert_eq!(answer.status, status, "{what}: {answer:?}");
                answer.assert_problem(status, code);
                assert_eq!(stored_files(&shop), 0, "{what}");
            }
        }
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 1);
        assert_eq!(get_with_etag(&shop, &pan).await.0.json(), before);
    }

    async fn a_form_that_fails_for_another_reason_stores_no_images(shop: TestShop) {
        let admin = shop.admin().await;
        let pan = shop.product("Pan", 5, 5).await;
        let unknown = "01900000-0000-7000-8000-000000000000";
        let picture = || Form::default().image(&png());
        create(&admin, kettle().image(&png()).text("categoryId", unknown)).await
            .assert_invalid_field("categoryId");
        create(&admin, kettle().image(&png()).text("role", "ADMIN")).await.assert_invalid_field("role");
        create(&admin, picture().text("name", "Pan")).await.assert_invalid_field("price");
        create(&admin, picture().text("name", "Pan").text("price", "9.99")).await.assert_invalid_field("price");
        create(&admin, kettle().image(&png()).text("price", "1")).await.assert_invalid_field("price");
        create(&admin, kettle().image(&png()).text("stockQuantity", "1.5")).await
            .assert_invalid_field("stockQuantity");
        let path = format!("/products/{pan}");
        let stale = [("if-match", "\"other\"")];
        admin.upload(Method::PATCH, &path, &stale, picture()).await
            .assert_problem(412, "precondition-failed");
        admin.upload(Method::PATCH, &path, &[], picture().text("stockQuantity", "1")).await
            .assert_problem(428, "precondition-required");
        for path in [format!("/products/{unknown}"), format!("/products/{unknown}/images")] {
            let method = if path.ends_with("images") { Method::POST } else { Method::PATCH };
            admin.upload(method, &path, &[], picture()).await.assert_problem(404, "not-found");
        }
        let images = format!("{path}/images");
        admin.upload(Method::POST, &images, &[], Form::default()).await.assert_invalid_field("images");
        admin.upload(Method::POST, &images, &[], picture().text("name", "x")).await.assert_invalid_field("name");
        shop.customer("ada").await.upload(Method::POST, &images, &[], picture()).await
            .assert_problem(403, "forbidden");
        assert_eq!(stored_files(&shop), 0);
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 1);
    }

    async fn a_product_has_at_most_eight_images(shop: TestShop) {
        let admin = shop.admin().await;
        let with = |count: usize| (0..count).fold(kettle(), |form, _| form.image(&png()));
        let only = |count: usize| (0..count).fold(Form::default(), |form, _| form.image(&png()));
        create(&admin, with(9)).await.assert_problem(422, "invalid-image");
        assert_eq!(stored_files(&shop), 0);

        let created = create(&admin, with(7)).await;
        assert_eq!(created.status, 201);
        let path = format!("/products/{}", created.text("/id"));
        let images = format!("{path}/images");
        admin.upload(Method::POST, &images, &[], only(2)).await.assert_problem(422, "invalid-image");
        admin.upload(Method::PATCH, &path, &[], only(2)).await.assert_problem(422, "invalid-image");
        assert_eq!(stored_files(&shop), 7);
        let full = admin.upload(Method::PATCH, &path, &[], only(1).text("price", "7")).await;
        assert_eq!((full.status, full.number("/price"), stored_files(&shop)), (200, 7, 8));
        admin.upload(Method::POST, &images, &[], only(1)).await.assert_problem(422, "invalid-image");
        assert_eq!(stored_files(&shop), 8);
    }

    async fn images_are_added_and_removed(shop: TestShop) {
        let admin = shop.admin().await;
        let created = create(&admin, kettle().image(&png()).image(&png())).await;
        let path = format!("/products/{}", created.text("/id"));
        let first = created.text("/images/0/id");

        let removed = admin.delete(&format!("{path}/images/{first}")).await;
        assert_eq!(removed.status, 200, "{removed:?}");
        assert_eq!(removed.json()["images"], json!([created.json()["images"][1]]));
        assert_eq!((shop.delete_due_images().await, stored_files(&shop)), (1, 1));
        fetch(&shop, &created, 0).await.assert_problem(404, "not-found");
        assert_eq!(fetch(&shop, &created, 1).await.status, 200);
        admin.delete(&format!("{path}/images/{first}")).await.assert_problem(404, "not-found");

        shop.advance_clock(std::time::Duration::from_secs(1));
        let form = Form::default().image(&test_image(9, 9, ImageFormat::Png));
        let added = admin.upload(Method::POST, &format!("{path}/images"), &[], form).await;
        assert_eq!(added.status, 200);
        assert_eq!(added.json()["images"][0], created.json()["images"][1], "existing images come first");
        assert_eq!(added.number("/images/1/width"), 9);
        let (shown, tag) = get_with_etag(&shop, &created.text("/id")).await;
        assert_eq!((shown.json(), Some(tag.as_str())), (added.json(), added.header("etag")));
        assert_ne!(added.header("etag"), removed.header("etag"), "the entity tag covers the images");

        let other = create(&admin, kettle().image(&png())).await;
        let foreign = format!("{path}/images/{}", other.text("/images/0/id"));
        admin.delete(&foreign).await.assert_problem(404, "not-found");
        assert_eq!(stored_files(&shop), 3);
    }

    async fn the_image_store_sees_only_generated_keys(shop: TestShop) {
        create(&shop.admin().await, kettle().image(&png())).await;
        let unknown = "01900000-0000-7000-8000-000000000000";
        for key in [
            format!("{unknown}.png"), format!("{unknown}.svg"), unknown.to_owned(),
            "..%2Fshop.db".to_owned(), "..%2Fkeys%2Fjwt_secret".to_owned(),
            "%2Fetc%2Fpasswd".to_owned(), "a.txt".to_owned(), "%00.png".to_owned(),
        ] {
            let answer = shop.anonymous().get(&format!("/images/{key}")).await;
            assert_eq!(answer.status, 404, "{key}: {answer:?}");
            answer.assert_problem(404, "not-found");
        }
    }

    async fn a_malformed_form_is_refused(shop: TestShop) {
        let admin = shop.admin().await;
        let post = async |kind: &str, body: &'static [u8]| {
            admin.raw(Method::POST, "/products", &[("content-type", kind)], body).await
        };
        post("text/plain", b"name=Kettle").await.assert_problem(415, "unsupported-media-type");
        post("multipart/form-data", b"--x--").await.assert_problem(415, "unsupported-media-type");
        let kind = "application/x-www-form-urlencoded";
        post(kind, b"name=Kettle&price=5").await.assert_problem(415, "unsupported-media-type");
        post(Form::CONTENT_TYPE, b"no form at all").await.assert_invalid_field("body");
        post(Form::CONTENT_TYPE, b"--between-parts\r\ncontent-disposition: form-data; name=\"a\"")
            .await.assert_invalid_field("body");
        let many = (0..40).fold(Form::default(), |form, _| form.text("images", ""));
        create(&admin, many).await.assert_problem(413, "payload-too-large");
        let long = kettle().text("description", &"d".repeat(70_000));
        create(&admin, long).await.assert_problem(413, "payload-too-large");
        admin.call(Method::POST, "/products", &[], Value::Null).await
            .assert_problem(415, "unsupported-media-type");
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 0);
    }
}
