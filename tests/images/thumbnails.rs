//! Thumbnails: images at smaller widths, created once and never larger than the original.

use futures_util::future::join_all;
use image::{DynamicImage, GenericImageView, ImageFormat, Rgba, RgbaImage};

use super::{files, path, product};
use crate::support::{images::test_image, storage_test};

/// Returns an image whose left half is transparent.
fn half_transparent(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixels = RgbaImage::from_fn(width, height, |x, _| {
        Rgba([10, 20, 30, if x < width / 2 { 0 } else { 255 }])
    });
    let mut file = std::io::Cursor::new(Vec::new());
    DynamicImage::from(pixels)
        .write_to(&mut file, format)
        .unwrap();
    file.into_inner()
}

storage_test! {
    async fn an_image_has_thumbnails_of_three_widths(shop: TestShop) {
        let created = product(&shop.admin().await, &[&test_image(1500, 900, ImageFormat::Jpeg)]).await;
        assert_eq!(created.status, 201, "{created:?}");
        let path = path(&created, 0);
        for (width, height) in [(320, 192), (640, 384), (1280, 768)] {
            let thumbnail = shop.anonymous().get(&format!("{path}?w={width}")).await;
            assert_eq!((thumbnail.status, thumbnail.header("content-type")), (200, Some("image/jpeg")));
            assert_eq!(
                thumbnail.header("cache-control"),
                Some("public, max-age=31536000, immutable")
            );
            assert_eq!(thumbnail.header("x-content-type-options"), Some("nosniff"));
            let size = image::load_from_memory(&thumbnail.body).unwrap().dimensions();
            assert_eq!(size, (width, height));
        }
        // The second time they come from the image store, as a replaced file proves.
        assert_eq!(files(&shop).len(), 4);
        let images = shop.directory.path().join("images");
        let thumbnail = files(&shop).into_iter().find(|name| name.ends_with("-320")).unwrap();
        std::fs::write(images.join(thumbnail), test_image(3, 2, ImageFormat::Jpeg)).unwrap();
        let again = shop.anonymous().get(&format!("{path}?w=320")).await;
        assert_eq!(image::load_from_memory(&again.body).unwrap().dimensions(), (3, 2));
    }

    async fn thumbnails_stay_transparent(shop: TestShop) {
        use ImageFormat::{Gif, Jpeg, Png, WebP};
        let admin = shop.admin().await;
        let cases = [
            (half_transparent(800, 40, Png), "image/png", (640, 32)),
            (half_transparent(800, 40, WebP), "image/png", (640, 32)),
            (half_transparent(800, 40, Gif), "image/png", (640, 32)),
            (test_image(800, 40, Png), "image/jpeg", (640, 32)),
            (test_image(800, 40, WebP), "image/jpeg", (640, 32)),
            // Never larger than the original.
            (half_transparent(80, 40, Png), "image/png", (80, 40)),
            (half_transparent(80, 40, WebP), "image/png", (80, 40)),
            (test_image(80, 40, Png), "image/jpeg", (80, 40)),
            (test_image(80, 40, Jpeg), "image/jpeg", (80, 40)),
            // The height is at least one pixel.
            (test_image(4000, 1, Png), "image/jpeg", (640, 1)),
        ];
        for (file, content_type, size) in cases {
            let created = product(&admin, &[&file]).await;
            assert_eq!(created.status, 201, "{created:?}");
            let thumbnail = shop.anonymous().get(&format!("{}?w=640", path(&created, 0))).await;
            assert_eq!((thumbnail.status, thumbnail.header("content-type")), (200, Some(content_type)));
            let shown = image::load_from_memory(&thumbnail.body).unwrap();
            assert_eq!(shown.dimensions(), size);
            let corner = shown.get_pixel(0, 0).0[3];
            assert_eq!(corner, if content_type == "image/png" { 0 } else { 255 });
        }
    }

    async fn a_busy_server_sends_the_whole_image_instead(shop: TestShop) {
        let created = product(&shop.admin().await, &[&test_image(1500, 900, ImageFormat::Jpeg)]).await;
        let path = path(&created, 0);
        let original = shop.anonymous().get(&path).await;
        let mut waiting = Vec::new();
        while let Ok(permit) = shop.app.upload_permits.enter(1).await {
            waiting.push(permit);
        }
        let path = format!("{path}?w=320");
        let whole = shop.anonymous().get(&path).await;
        assert_eq!((whole.status, &whole.body), (200, &original.body));
        assert_eq!(whole.header("content-type"), Some("image/jpeg"));
        assert_eq!(whole.header("cache-control"), Some("no-store"));
        drop(waiting);
        let thumbnail = shop.anonymous().get(&path).await;
        assert_eq!(image::load_from_memory(&thumbnail.body).unwrap().width(), 320);
        assert_ne!(thumbnail.header("cache-control"), Some("no-store"));
    }

    async fn concurrent_requests_create_a_thumbnail_once(shop: TestShop) {
        let created = product(&shop.admin().await, &[&test_image(900, 900, ImageFormat::Jpeg)]).await;
        let path = format!("{}?w=320", path(&created, 0));
        let client = shop.anonymous();
        let answers = join_all((0..16).map(|_| client.get(&path))).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
        }
        assert_eq!(files(&shop).len(), 2);
    }

    async fn other_widths_are_refused(shop: TestShop) {
        let created = product(&shop.admin().await, &[&test_image(9, 9, ImageFormat::Png)]).await;
        let path = path(&created, 0);
        for query in [
            "w=100", "w=0", "w=0320", "w=-320", "w=320&w=640", "w=99999999999999999999",
            "h=320", "W=320", "w=320&q=1", "w=320px",
        ] {
            let answer = shop.anonymous().get(&format!("{path}?{query}")).await;
            answer.assert_problem(400, "invalid-query");
        }
        let unknown = "/images/01900000-0000-7000-8000-000000000000.png?w=320";
        shop.anonymous().get(unknown).await.assert_problem(404, "not-found");
        assert_eq!(files(&shop).len(), 1, "no thumbnail was created");
    }
}
