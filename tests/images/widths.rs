//! A picture at a smaller width: made once, never larger than it was.

use futures_util::future::join_all;
use image::{DynamicImage, GenericImageView, ImageFormat, Rgba, RgbaImage};

use super::{files, path, product};
use crate::support::{pictures::picture, storage_test};

/// A picture of which one half shines through.
fn half_a_window(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
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
    async fn a_picture_is_to_be_had_in_three_widths(shop: TestShop) {
        let made = product(&shop.admin().await, &[&picture(1500, 900, ImageFormat::Jpeg)]).await;
        assert_eq!(made.status, 201, "{made:?}");
        let path = path(&made, 0);
        for (width, height) in [(320, 192), (640, 384), (1280, 768)] {
            let narrow = shop.anonymous().get(&format!("{path}?w={width}")).await;
            assert_eq!((narrow.status, narrow.header("content-type")), (200, Some("image/jpeg")));
            assert_eq!(
                narrow.header("cache-control"),
                Some("public, max-age=31536000, immutable")
            );
            assert_eq!(narrow.header("x-content-type-options"), Some("nosniff"));
            let size = image::load_from_memory(&narrow.body).unwrap().dimensions();
            assert_eq!(size, (width, height));
        }
        // The second time they come from the store: what stands there is what is served.
        assert_eq!(files(&shop).len(), 4);
        let kept = shop.directory.path().join("images");
        let narrow = files(&shop).into_iter().find(|name| name.ends_with("-320")).unwrap();
        std::fs::write(kept.join(narrow), picture(3, 2, ImageFormat::Jpeg)).unwrap();
        let again = shop.anonymous().get(&format!("{path}?w=320")).await;
        assert_eq!(image::load_from_memory(&again.body).unwrap().dimensions(), (3, 2));
    }

    async fn what_shines_through_stays_so(shop: TestShop) {
        use ImageFormat::{Gif, Jpeg, Png, WebP};
        let admin = shop.admin().await;
        let cases = [
            (half_a_window(800, 40, Png), "image/png", (640, 32)),
            (half_a_window(800, 40, WebP), "image/png", (640, 32)),
            (half_a_window(800, 40, Gif), "image/png", (640, 32)),
            (picture(800, 40, Png), "image/jpeg", (640, 32)),
            (picture(800, 40, WebP), "image/jpeg", (640, 32)),
            // Never larger than it was.
            (half_a_window(80, 40, Png), "image/png", (80, 40)),
            (half_a_window(80, 40, WebP), "image/png", (80, 40)),
            (picture(80, 40, Png), "image/jpeg", (80, 40)),
            (picture(80, 40, Jpeg), "image/jpeg", (80, 40)),
            // A line has a height all the same.
            (picture(4000, 1, Png), "image/jpeg", (640, 1)),
        ];
        for (file, content_type, size) in cases {
            let made = product(&admin, &[&file]).await;
            assert_eq!(made.status, 201, "{made:?}");
            let narrow = shop.anonymous().get(&format!("{}?w=640", path(&made, 0))).await;
            assert_eq!((narrow.status, narrow.header("content-type")), (200, Some(content_type)));
            let shown = image::load_from_memory(&narrow.body).unwrap();
            assert_eq!(shown.dimensions(), size);
            let corner = shown.get_pixel(0, 0).0[3];
            assert_eq!(corner, if content_type == "image/png" { 0 } else { 255 });
        }
    }

    async fn many_who_ask_at_once_get_one_picture(shop: TestShop) {
        let made = product(&shop.admin().await, &[&picture(900, 900, ImageFormat::Jpeg)]).await;
        let path = format!("{}?w=320", path(&made, 0));
        let client = shop.anonymous();
        let answers = join_all((0..16).map(|_| client.get(&path))).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
        }
        assert_eq!(files(&shop).len(), 2);
    }

    async fn another_width_is_refused(shop: TestShop) {
        let made = product(&shop.admin().await, &[&picture(9, 9, ImageFormat::Png)]).await;
        let path = path(&made, 0);
        for query in [
            "w=100", "w=0", "w=0320", "w=-320", "w=320&w=640", "w=99999999999999999999",
            "h=320", "W=320", "w=320&q=1", "w=320px",
        ] {
            let answer = shop.anonymous().get(&format!("{path}?{query}")).await;
            answer.is_problem(400, "invalid-query");
        }
        let unknown = "/images/01900000-0000-7000-8000-000000000000.png?w=320";
        shop.anonymous().get(unknown).await.is_problem(404, "not-found");
        assert_eq!(files(&shop).len(), 1, "nothing was made");
    }
}
